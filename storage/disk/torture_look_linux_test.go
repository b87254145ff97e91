package disk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mccd/mccd/storage"
)

// look opens the drives once more, without faults: what the store counts is
// what lies there, nothing is over a limit, and every byte present is right.
func (o *ordeal) look(ctx context.Context, cfg Config) error {
	cfg.FS, cfg.ScrubRate = OS{}, 0
	_, _, err := inspect(ctx, cfg, o.sc.all())
	return err
}

// settled checks a store that nobody uses any more: no key is busy, no chunk in
// use, and the bytes that count are those on the drives. After a fault up to two
// blocks, of a drive that failed one for each writer, more count till the next start, and after a removal that was done and
// yet failed that file, till somebody looks for it; and of a drive that was out
// of reach what was not found again yet.
func (o *ordeal) settled(s *Store, cfg Config) error {
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		busy, used := len(sh.busy)+len(sh.records), 0
		for _, e := range sh.index {
			if c := e.chunk; c != nil && (c.refs != 0 || c.inflight != 0) {
				used++
			}
		}
		sh.mu.Unlock()
		if busy+used > 0 {
			return fmt.Errorf("%d keys stay busy, %d chunks in use", busy, used)
		}
	}
	for _, d := range cfg.Drives {
		on, err := stored(d.Path)
		if err != nil {
			return err
		}
		st, ok := statsOf(s, d)
		if !ok {
			continue
		}
		got := st.Bytes
		most := int64(0)
		switch {
		case !st.Scanned:
			most = st.Limit
		case o.fs.wasHit() && o.what == failShort && o.aim.method == "remove":
			most = storage.ChunkSize
		case o.fs.wasHit() && o.what == failDrive:
			most = sickReaders * storage.BlockSize // one that each was writing
		case o.fs.wasHit():
			most = 2 * storage.BlockSize
		}
		if more := got - on; more < 0 || more > most {
			return fmt.Errorf("drive %s holds %d bytes, %d are counted", d.Path, on, got)
		}
	}
	return nil
}

// statsOf returns what a store says of a drive; false where it was left out.
func statsOf(s *Store, d Drive) (DriveStats, bool) {
	for _, st := range s.Stats().Drives {
		if st.Path == d.Path {
			return st, st.State != StateFailed && st.State != StateMissing || st.Bytes > 0
		}
	}
	return DriveStats{}, false
}

// stored returns what the files on a drive take that count against its limit.
func stored(drive string) (int64, error) {
	total := int64(0)
	err := eachStored(drive, func(path string, fi fs.FileInfo) {
		switch {
		case strings.Contains(path, recordSuffix):
			total += charge(fi.Size())
		case strings.Contains(path, "-"):
			total += chargeOf(infoOf(fi))
		}
	})
	return total, err
}

// held is what inspect found: the blocks present and right, by chunk.
type held map[storage.ChunkKey]Bitmap

// inspect opens drives, waits for the scan, and compares everything.
func inspect(ctx context.Context, cfg Config, things []*thing) (held, Stats, error) {
	s, err := New(cfg)
	if err != nil {
		return nil, Stats{}, fmt.Errorf("open to look: %w", err)
	}
	defer s.Close()
	for _, d := range cfg.Drives {
		if left, _ := os.ReadDir(filepath.Join(d.Path, "tmp")); len(left) > 0 && !strings.HasPrefix(left[0].Name(), "totals") {
			return nil, Stats{}, fmt.Errorf("%d files stay in tmp of %s, as %s", len(left), d.Path, left[0].Name())
		}
	}
	running, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- s.Run(running) }()
	defer func() { stop(); <-done }()
	select {
	case <-s.Indexed():
	case <-time.After(5 * time.Minute):
		return nil, Stats{}, errors.New("the scan of what was left does not end")
	}
	if err := sameSpace(s, cfg); err != nil {
		return nil, Stats{}, err
	}
	found := held{}
	for _, th := range things {
		blocks, err := th.examine(ctx, s)
		if err != nil {
			return nil, Stats{}, err
		}
		found[th.key] = blocks
	}
	return found, s.Stats(), nil
}

// examine reads each block of a chunk that seems present, through condemned
// files too, and returns those that can be read.
func (th *thing) examine(ctx context.Context, s *Store) (Bitmap, error) {
	var right Bitmap
	for range storage.BlocksPerChunk + 1 {
		right = Bitmap{}
		c, err := s.Lookup(th.key)
		if errors.Is(err, ErrNotHeld) {
			return right, nil
		} else if err != nil {
			return right, fmt.Errorf("look up: %w", err)
		}
		stale := false
		for i := range blocksOf(c.Len()) {
			off := int64(i) * storage.BlockSize
			span := storage.Span{Off: off, End: off + blockLen(c.Len(), i)}
			n, err := th.sent(ctx, c, span)
			switch {
			case errors.Is(err, errWrongBytes):
				c.Release()
				return right, err
			case err != nil:
				stale = true
			case n == span.Len():
				right.set(i)
			}
		}
		c.Release()
		if !stale {
			return right, nil
		}
	}
	return right, fmt.Errorf("chunk %s is condemned for ever", th.key)
}

// sameSpace compares what a store counts with what its drives hold, and both
// with the limits. Files in eviction at this moment make it try again.
func sameSpace(s *Store, cfg Config) error {
	var err error
	for range 100 {
		err = nil
		for _, d := range cfg.Drives {
			on, serr := stored(d.Path)
			if serr != nil {
				return serr
			}
			got, _ := statsOf(s, d)
			if got.Bytes != on {
				err = fmt.Errorf("drive %s holds %d bytes, %d are counted", d.Path, on, got.Bytes)
			} else if got.Bytes > d.Size {
				err = fmt.Errorf("drive %s holds %d bytes, its limit is %d", d.Path, got.Bytes, d.Size)
			}
		}
		if err == nil {
			return nil
		}
		time.Sleep(10 * time.Millisecond) //nolint:forbidigo // between looks at what settles
	}
	return err
}

// openUnder lists the files under dir that this process has open, removed ones
// too; nothing where the system does not tell.
func openUnder(dir string) []string {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil
	}
	var open []string
	for _, e := range entries {
		if to, err := os.Readlink(filepath.Join("/proc/self/fd", e.Name())); err == nil && strings.HasPrefix(to, dir+"/") {
			open = append(open, to)
		}
	}
	return open
}
