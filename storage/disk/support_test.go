package disk

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"path/filepath"
	"testing"

	"github.com/mccd/mccd/storage"
)

// contentAt fills p with what the chunk of key has from off on: a function of
// both, so that a byte from any other place is seen.
func contentAt(key storage.ChunkKey, off int64, p []byte) {
	seed := binary.LittleEndian.Uint64(key.Object[:]) ^ binary.LittleEndian.Uint64(key.Version[:]) ^ uint64(key.Index)<<40
	var word [8]byte
	for i := 0; i < len(p); {
		at := uint64(off) + uint64(i)
		h := (seed + at/8) * 0x9e3779b97f4a7c15
		h ^= h >> 29
		binary.LittleEndian.PutUint64(word[:], h*0xbf58476d1ce4e5b9|1)
		i += copy(p[i:], word[at%8:])
	}
}

func content(key storage.ChunkKey, span storage.Span) []byte {
	p := make([]byte, span.Len())
	contentAt(key, span.Off, p)
	return p
}

// object returns a version and a key of chunk index of some object.
func object(name string, size int64, index uint32) (storage.ChunkKey, storage.Version) {
	v := storage.Version{Kind: storage.ValidatorETag, ETag: `"` + name + `"`, LastModified: "Mon, 02 Jan 2006 15:04:05 GMT", Size: size}
	id := storage.Ref{Scheme: "http", Host: "cdn.test", Path: "/" + name}.ID()
	return storage.ChunkKey{Object: id, Version: v.ID(), Index: index}, v
}

// open makes a Store over dirs, or over one new directory.
func openStore(t testing.TB, cfg Config, dirs ...string) *Store {
	t.Helper()
	if len(cfg.Drives) == 0 {
		if len(dirs) == 0 {
			dirs = []string{filepath.Join(t.TempDir(), "drive")}
		}
		for _, d := range dirs {
			cfg.Drives = append(cfg.Drives, Drive{Path: d, Size: 256 << 20})
		}
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// scanAll runs the start scan to its end.
func scanAll(t testing.TB, s *Store) {
	t.Helper()
	for _, d := range s.drives() {
		if err := s.scan(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	<-s.Indexed()
}

// create takes a chunk and releases it at the test's end at the latest.
func create(t testing.TB, s *Store, key storage.ChunkKey, v storage.Version) *Chunk {
	t.Helper()
	c, err := s.Create(context.Background(), key, v)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// fill writes the given blocks of the chunk, all when none are named.
func fill(t testing.TB, c *Chunk, blocks ...int) {
	t.Helper()
	if err := tryFill(c, blocks...); err != nil {
		t.Fatal(err)
	}
}

func tryFill(c *Chunk, blocks ...int) error {
	w, err := c.BeginWrite()
	if err != nil {
		return err
	}
	defer w.End()
	if len(blocks) == 0 {
		for i := range blocksOf(c.Len()) {
			blocks = append(blocks, i)
		}
	}
	for _, i := range blocks {
		if err := w.WriteBlock(i, pieces(c, i)); err != nil {
			return err
		}
	}
	return nil
}

// pieces returns a block's bytes in uneven pieces.
func pieces(c *Chunk, i int) [][]byte {
	off := int64(i) * storage.BlockSize
	b := content(c.Key(), storage.Span{Off: off, End: off + blockLen(c.Len(), i)})
	cut := len(b) / 3
	return [][]byte{b[:cut], {}, b[cut:]}
}

// read returns what of span is ready, checked byte by byte, until something is
// not.
func read(t testing.TB, c *Chunk, span storage.Span) (int64, error) {
	t.Helper()
	n, err := readChecked(t.Context(), c, span)
	if errors.Is(err, errWrongBytes) {
		t.Fatal(err)
	}
	return n, err
}

var errWrongBytes = errors.New("wrong bytes")

func readChecked(ctx context.Context, c *Chunk, span storage.Span) (int64, error) {
	f, base := c.File()
	done := int64(0)
	for span.Off < span.End {
		n, err := c.Ready(ctx, span)
		if err != nil || n == 0 {
			return done, err
		}
		got := make([]byte, n)
		if _, err := f.ReadAt(got, base+span.Off); err != nil {
			return done, err
		}
		if !bytes.Equal(got, content(c.Key(), storage.Span{Off: span.Off, End: span.Off + n})) {
			return done, errWrongBytes
		}
		span.Off += n
		done += n
	}
	return done, nil
}

func whole(c *Chunk) storage.Span { return storage.Span{End: c.Len()} }
