package presence

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/disk"
)

// Snapshot is what the chunk files of some drives said of themselves at one
// moment.
type Snapshot struct {
	drives [][]head
}

// Take reads what the chunk files on drives, one per node, say of themselves.
// It takes milliseconds, so that nodes may be held for it.
func Take(drives ...string) (*Snapshot, error) {
	s := new(Snapshot)
	for _, dir := range drives {
		heads, err := readHeads(dir)
		if err != nil {
			return nil, fmt.Errorf("take snapshot of %s: %w", dir, err)
		}
		s.drives = append(s.drives, heads)
	}
	return s, nil
}

// Set is what one drive holds: the blocks of each chunk and its length.
type Set map[storage.ChunkKey]Chunk

// Chunk is what is held of one chunk.
type Chunk struct {
	Present disk.Bitmap
	// Len is the length of the whole chunk in bytes.
	Len int64
}

// Sets writes the heads out as sparse files, opens them as drives and returns
// what each one held, in the order of Take.
func (s *Snapshot) Sets(ctx context.Context) ([]Set, error) {
	dir, err := os.MkdirTemp("", "mccd-presence-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	sets := make([]Set, len(s.drives))
	for i, heads := range s.drives {
		drive := filepath.Join(dir, strconv.Itoa(i))
		for _, h := range heads {
			if err := h.write(drive); err != nil {
				return nil, err
			}
		}
		if sets[i], err = read(ctx, drive); err != nil {
			return nil, fmt.Errorf("read snapshot of drive %d: %w", i, err)
		}
	}
	return sets, nil
}

func read(ctx context.Context, dir string) (_ Set, err error) {
	store, err := disk.New(disk.Config{Drives: []disk.Drive{{Path: dir, Size: 1 << 50}}, MinFree: -1, IdleAfter: -1})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	ctx, cancel := context.WithCancel(ctx)
	ran := make(chan error, 1)
	go func() { ran <- store.Run(ctx) }()
	select {
	case <-store.Indexed():
	case <-ctx.Done():
	}
	err = ctx.Err()
	cancel()
	if err := errors.Join(err, <-ran); err != nil {
		return nil, err
	}
	set := Set{}
	for key, present := range store.Keys {
		chunk, err := store.Lookup(key)
		if err != nil {
			return nil, fmt.Errorf("look up chunk %s: %w", key, err)
		}
		set[key] = Chunk{present, chunk.Len()}
		chunk.Release()
	}
	return set, nil
}

// Bytes returns how many bytes s holds.
func (s Set) Bytes() int64 {
	var n int64
	for _, c := range s {
		n += c.bytes(nil)
	}
	return n
}

// bytes counts the bytes of the blocks that are present, of those that all
// others lack.
func (c Chunk) bytes(others []Chunk) int64 {
	var n int64
next:
	for i := range storage.BlocksPerChunk {
		if !c.Present.Has(i) {
			continue
		}
		for _, o := range others {
			if o.Present.Has(i) {
				continue next
			}
		}
		n += min(storage.BlockSize, c.Len-int64(i)*storage.BlockSize)
	}
	return n
}

// Alone returns how many bytes only set i of sets holds.
func Alone(sets []Set, i int) int64 {
	var n int64
	for key, c := range sets[i] {
		others := make([]Chunk, 0, len(sets))
		for k, set := range sets {
			if k != i {
				others = append(others, set[key])
			}
		}
		n += c.bytes(others)
	}
	return n
}

// Union tells which bytes of which object any of several drives holds, of
// whatever version.
type Union map[place]disk.Bitmap

type place struct {
	object storage.ObjectID
	index  uint32
}

// Unite returns what sets hold together.
func Unite(sets []Set) Union {
	u := Union{}
	for _, set := range sets {
		for key, c := range set {
			at := place{key.Object, key.Index}
			have := u[at]
			for i := range have {
				have[i] |= c.Present[i]
			}
			u[at] = have
		}
	}
	return u
}

// Holds reports whether every byte of span of object is held.
func (u Union) Holds(object storage.ObjectID, span storage.Span) bool {
	for off := span.Off / storage.BlockSize * storage.BlockSize; off < span.End; off += storage.BlockSize {
		block := int(off % storage.ChunkSize / storage.BlockSize)
		if !u[place{object, storage.ChunkOf(off)}].Has(block) {
			return false
		}
	}
	return true
}
