package disk

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mccd/mccd/storage"
)

// The limit holds at every moment, under writers of new chunks and readers
// that keep theirs open; what does not fit goes to memory.
func TestLimitHolds(t *testing.T) {
	const limit = 3 * MinDriveSize
	f := &limitFS{limit: limit}
	s := openStore(t, Config{FS: f, Drives: []Drive{{Path: t.TempDir(), Size: limit}}, MemBytes: 16 * storage.ChunkSize})
	f.store.Store(s)
	var writers sync.WaitGroup
	for w := range uint32(3) {
		writers.Go(func() {
			var kept *Chunk
			for i := range uint32(3) {
				key, v := object("limit", 100*storage.ChunkSize, w*10+i)
				c, err := s.Create(t.Context(), key, v)
				if errors.Is(err, storage.ErrBusy) {
					continue
				}
				if err == nil {
					err = tryFill(c)
				}
				if err != nil {
					t.Error(err)
					return
				}
				if c, err = s.Create(t.Context(), key, v); err != nil { // where it is now
					t.Error(err)
					return
				}
				if n, err := readChecked(t.Context(), c, whole(c)); n != c.Len() || err != nil {
					t.Errorf("read %d, %v", n, err)
				}
				if kept != nil {
					kept.Release()
				}
				kept = c
			}
			if kept != nil {
				kept.Release()
			}
		})
	}
	writers.Wait()
	if got := f.over.Load(); got != 0 || f.writes.Load() < 9*storage.BlocksPerChunk {
		t.Errorf("%d bytes, the limit is %d; looked at %d times", got, int64(limit), f.writes.Load())
	}
	if st := s.Stats(); st.MemFalls == 0 || st.Chunks < 2 {
		t.Errorf("in memory %d, chunks %d", st.MemFalls, st.Chunks)
	}
}

// limitFS looks at the limit at each write.
type limitFS struct {
	OS
	limit        int64
	store        atomic.Pointer[Store]
	over, writes atomic.Int64
}

func (f *limitFS) Write(op Op, file *os.File, off int64, bufs ...[]byte) error {
	f.writes.Add(1)
	if s := f.store.Load(); s != nil && s.Stats().Bytes > f.limit {
		f.over.Store(s.Stats().Bytes)
	}
	return f.OS.Write(op, file, off, bufs...)
}

// What is being read is never pulled away: with all that is held in use, a new
// chunk goes to memory, and to the drive again when something was let go.
func TestPinnedStays(t *testing.T) {
	s := openStore(t, Config{Drives: []Drive{{Path: t.TempDir(), Size: 2 * MinDriveSize}}})
	var held []*Chunk
	for i := range uint32(2) {
		key, v := object("pinned", 9*storage.ChunkSize, i)
		c := create(t, s, key, v)
		fill(t, c)
		held = append(held, c)
	}
	key, v := object("pinned", 9*storage.ChunkSize, 2)
	c := create(t, s, key, v)
	fill(t, c)
	if c.Stored() {
		t.Error("stored above the limit")
	}
	c.Release()
	for _, c := range held {
		if n, err := read(t, c, whole(c)); n != c.Len() || err != nil {
			t.Errorf("read %d, %v", n, err)
		}
	}
	if st := s.Stats(); st.Drives[0].State != StateOK {
		t.Errorf("a limit that is reached is no fault of the drive: %v", st.Drives[0].State)
	}
	held[0].Release()
	key, v = object("pinned", 9*storage.ChunkSize, 3)
	c = create(t, s, key, v)
	fill(t, c)
	if !c.Stored() {
		t.Error("not stored though there is room")
	}
	c.Release()
	if _, err := s.Lookup(held[0].Key()); !errors.Is(err, ErrNotHeld) {
		t.Errorf("the released chunk: %v", err)
	}
	held[1].Release()
}

func TestIdleContentLeaves(t *testing.T) {
	clock := time.Unix(1_800_000_000, 0)
	var mu sync.Mutex
	now := func() time.Time { mu.Lock(); defer mu.Unlock(); return clock }
	s := openStore(t, Config{Now: now, IdleAfter: time.Hour})
	scanAll(t, s)
	old, v1 := object("old", testSize, 0)
	create(t, s, old, v1).Release()
	mu.Lock()
	clock = clock.Add(2 * time.Hour)
	mu.Unlock()
	young, v2 := object("young", testSize, 0)
	create(t, s, young, v2).Release()
	s.sweep(t.Context(), s.drives()[0])
	if _, err := s.Lookup(old); !errors.Is(err, ErrNotHeld) {
		t.Errorf("idle chunk: %v", err)
	}
	c, err := s.Lookup(young)
	if err != nil {
		t.Fatal(err)
	}
	c.Release()
}

// Free space of the file system is kept, whatever the limit allows.
func TestFreeSpaceIsKept(t *testing.T) {
	f := &spaceFS{}
	f.free.Store(100 << 20)
	s := openStore(t, Config{FS: f, MinFree: 64 << 20})
	var stored int
	for i := range uint32(8) {
		key, v := object("free", 9*storage.ChunkSize, i)
		c := create(t, s, key, v)
		fill(t, c)
		stored++
		c.Release()
		f.free.Store((100 << 20) - s.Stats().Bytes)
		s.drives()[0].refreshRoom()
		if got := f.free.Load(); got < 59<<20 {
			t.Fatalf("%d bytes stay free after %d chunks", got, stored)
		}
	}
	if s.Stats().Evictions == 0 {
		t.Error("nothing was evicted")
	}
}

type spaceFS struct {
	OS
	free atomic.Int64
}

func (f *spaceFS) Space(Op, string) (Space, error) {
	return Space{Total: 1 << 40, Free: f.free.Load()}, nil
}

// The last use outlives a restart, so that idleness is counted on.
func TestLastUseIsKept(t *testing.T) {
	dir := t.TempDir()
	base := time.Now()
	at := func(d time.Duration) Config {
		return Config{Now: func() time.Time { return base.Add(d) }, IdleAfter: 24 * time.Hour}
	}
	key, v := object("use", testSize, 0)
	s := openStore(t, at(0), dir)
	create(t, s, key, v).Release()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, at(20*time.Hour), dir)
	create(t, s, key, v).Release()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, at(40*time.Hour), dir)
	scanAll(t, s)
	s.sweep(t.Context(), s.drives()[0])
	if n := s.Stats().Chunks; n != 1 {
		t.Errorf("%d chunks 20 h after the last use", n)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, at(45*time.Hour), dir)
	scanAll(t, s)
	s.sweep(t.Context(), s.drives()[0])
	if n := s.Stats().Chunks; n != 0 {
		t.Errorf("%d chunks 25 h after the last use", n)
	}
}
