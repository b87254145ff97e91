package disk

import (
	"context"
	"errors"
	"os"
	"reflect"
	"testing"

	"github.com/mccd/mccd/storage"
)

const testSize = storage.ChunkSize + 5*storage.BlockSize + 1234

func TestWriteThenRead(t *testing.T) {
	s := openStore(t, Config{})
	for _, index := range []uint32{0, 1} {
		key, v := object("a", testSize, index)
		if _, err := s.Lookup(key); !errors.Is(err, ErrNotHeld) {
			t.Fatalf("look up before create: %v", err)
		}
		c := create(t, s, key, v)
		if c.Len() != storage.ChunkSpan(testSize, index).Len() || !c.Stored() || c.Key() != key || c.Version() != v {
			t.Fatalf("chunk is %v %v, %d bytes, stored %v", c.Key(), c.Version(), c.Len(), c.Stored())
		}
		fill(t, c)
		if n, err := read(t, c, whole(c)); n != c.Len() || err != nil {
			t.Fatalf("read %d of %d: %v", n, c.Len(), err)
		}
		again, err := s.Lookup(key)
		if err != nil || again != c {
			t.Fatalf("second look up: %p, %v; want the open chunk %p", again, err, c)
		}
		again.Release()
		c.Release()
	}
}

func TestReady(t *testing.T) {
	s := openStore(t, Config{})
	key, v := object("ready", testSize, 1)
	c := create(t, s, key, v)
	defer c.Release()
	fill(t, c, 0, 1, 3, 5)
	const b = storage.BlockSize
	for _, tt := range []struct {
		span storage.Span
		want int64
	}{
		{storage.Span{Off: 0, End: c.Len()}, 2 * b},
		{storage.Span{Off: 7, End: c.Len()}, 2*b - 7},
		{storage.Span{Off: b - 1, End: b + 1}, 2},
		{storage.Span{Off: 2 * b, End: c.Len()}, 0},
		{storage.Span{Off: 3*b + 5, End: 4*b + 5}, b - 5},
		{storage.Span{Off: 5 * b, End: c.Len()}, 1234},
		{storage.Span{Off: 5*b + 1233, End: c.Len() + 100}, 1},
		{storage.Span{Off: c.Len(), End: c.Len() + 1}, 0},
		{storage.Span{Off: 9, End: 9}, 0},
	} {
		if got, err := c.Ready(t.Context(), tt.span); got != tt.want || err != nil {
			t.Errorf("Ready(%v) = %d, %v; want %d", tt.span, got, err, tt.want)
		}
	}
	missing := c.Missing(storage.Span{Off: b + 1, End: c.Len() + 99})
	if want := []storage.Span{{Off: 2 * b, End: 3 * b}, {Off: 4 * b, End: 5 * b}}; !reflect.DeepEqual(missing, want) {
		t.Errorf("Missing = %v, want %v", missing, want)
	}
	if got := c.Presence(); got.Count() != 4 || !got.Has(5) || got.Has(4) || got.Has(-1) || got.Has(1000) {
		t.Errorf("Presence = %b", got)
	}
}

func TestBlocksAreWrittenOnce(t *testing.T) {
	s := openStore(t, Config{})
	key, v := object("once", testSize, 1)
	c := create(t, s, key, v)
	defer c.Release()
	fill(t, c, 2)
	w, err := c.BeginWrite()
	if err != nil {
		t.Fatal(err)
	}
	defer w.End()
	if err := w.WriteBlock(2, [][]byte{make([]byte, storage.BlockSize)}); err != nil || w.Wrote() != 0 {
		t.Errorf("second write of a block: %v, %d bytes written", err, w.Wrote())
	}
	for _, n := range []int{0, 1, storage.BlockSize - 1, storage.BlockSize + 1} {
		if err := w.WriteBlock(3, [][]byte{make([]byte, n)}); !errors.Is(err, ErrBlockLength) {
			t.Errorf("write of %d bytes: %v", n, err)
		}
	}
	for _, i := range []int{-1, 6, 128} {
		if err := w.WriteBlock(i, [][]byte{make([]byte, storage.BlockSize)}); !errors.Is(err, ErrBlockLength) {
			t.Errorf("write of block %d: %v", i, err)
		}
	}
	if n, err := read(t, c, storage.Span{Off: 2 * storage.BlockSize, End: c.Len()}); n != storage.BlockSize || err != nil {
		t.Errorf("read %d, %v", n, err)
	}
}

func TestCreateRefuses(t *testing.T) {
	s := openStore(t, Config{})
	key, v := object("x", testSize, 0)
	unknown := v
	unknown.Size = -1
	beyond := key
	beyond.Index = 2
	other := v
	other.ETag = `"other"`
	for _, tt := range []struct {
		name string
		key  storage.ChunkKey
		v    storage.Version
		want error
	}{
		{"unknown length", storage.ChunkKey{Object: key.Object, Version: unknown.ID()}, unknown, storage.ErrLength},
		{"beyond the end", beyond, v, storage.ErrRange},
		{"foreign version", key, other, ErrVersion},
	} {
		if _, err := s.Create(t.Context(), tt.key, tt.v); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
}

func TestCreateWaitsForContext(t *testing.T) {
	s := openStore(t, Config{})
	key, v := object("busy", testSize, 0)
	sh := s.shard(key)
	sh.mu.Lock()
	sh.latch(key)
	sh.mu.Unlock()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Create(ctx, key, v); !errors.Is(err, context.Canceled) {
		t.Errorf("create while busy: %v", err)
	}
	sh.unlatch(key)
	create(t, s, key, v).Release()
}

// A chunk file whose header carries another version under the same digest is
// a miss: the new file takes its place, its readers keep what they have.
func TestVersionCollision(t *testing.T) {
	s := openStore(t, Config{})
	key, v := object("twin", testSize, 1)
	old := create(t, s, key, v)
	fill(t, old)
	old.version.ETag = `"its twin"` // what a collision of the digests would give
	c := create(t, s, key, v)
	defer c.Release()
	if c == old || c.Presence().Count() != 0 {
		t.Fatalf("got the other version's chunk, %d blocks", c.Presence().Count())
	}
	before := s.Stats().Bytes
	if n, err := read(t, old, whole(old)); n != old.Len() || err != nil {
		t.Errorf("old reader: %d, %v", n, err)
	}
	old.Release()
	if after := s.Stats().Bytes; before-after < old.Len() {
		t.Errorf("bytes before and after the last reader left: %d, %d", before, after)
	}
}

func TestReleaseTwicePanics(t *testing.T) {
	s := openStore(t, Config{})
	key, v := object("r", testSize, 0)
	c := create(t, s, key, v)
	c.Release()
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
		c.refs = 0
	}()
	c.Release()
}

func TestClosedStore(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, Config{}, dir)
	key, v := object("late", testSize, 1)
	c := create(t, s, key, v)
	fill(t, c)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if n, err := read(t, c, whole(c)); n != c.Len() || err != nil {
		t.Errorf("read after close: %d, %v", n, err)
	}
	c.Release()
	if _, err := s.Lookup(key); !errors.Is(err, ErrClosed) {
		t.Errorf("look up after close: %v", err)
	}
	f, _ := c.File()
	if _, err := f.Stat(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("file after the last release: %v", err)
	}
}
