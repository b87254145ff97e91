package disk

import (
	"context"
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/mccd/mccd/storage"
)

// dropCache takes a file out of the page cache; it skips the test where the
// file system has no drive behind its cache.
func dropCache(t *testing.T, path string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
		t.Fatal(err)
	}
	if resident(f, dataOff, storage.BlockSize) {
		t.Skip("the page cache cannot be dropped here")
	}
}

// flipDirect changes a byte of a file on the drive, by a file that is opened
// for this alone, and drops it from the page cache.
func flipDirect(t *testing.T, path string, off int64) {
	flip(t, path, off)
	dropCache(t, path)
}

// A block that rots on the drive after it was served, under a dropped page
// cache, is never served again; the others are, and it can be filled again.
func TestBlockRotsUnderADroppedCache(t *testing.T) {
	s := openStore(t, Config{})
	key, v := object("rot", testSize, 0)
	c := create(t, s, key, v)
	fill(t, c)
	if n, err := read(t, c, whole(c)); n != c.Len() || err != nil {
		t.Fatalf("read %d, %v", n, err)
	}
	path := chunkPath(c.drive.path, key)
	dropCache(t, path)
	if n, err := c.Ready(t.Context(), whole(c)); n != verifyRun || err != nil {
		t.Errorf("a cold run is %d, %v; want %d", n, err, verifyRun)
	}
	flipDirect(t, path, dataOff+40*storage.BlockSize+5)
	n, err := read(t, c, whole(c))
	if n != 40*storage.BlockSize || !errors.Is(err, ErrCondemned) {
		t.Fatalf("read %d blocks, %v", n/storage.BlockSize, err)
	}
	if _, err := c.BeginWrite(); !errors.Is(err, ErrCondemned) {
		t.Errorf("write to a condemned chunk: %v", err)
	}
	rest := storage.Span{Off: 41 * storage.BlockSize, End: c.Len()}
	if n, err := read(t, c, rest); n != rest.Len() || err != nil {
		t.Errorf("the old file's other blocks: %d, %v", n, err)
	}
	repaired, err := s.Lookup(key)
	if err != nil {
		t.Fatal(err)
	}
	if repaired == c || repaired.Presence().Count() != storage.BlocksPerChunk-1 || repaired.Presence().Has(40) {
		t.Errorf("repaired file has %d blocks", repaired.Presence().Count())
	}
	if got := s.Stats(); got.Corrupt != 1 || got.Repairs != 1 || got.Bytes < 2*storage.ChunkSize-2*storage.BlockSize {
		t.Errorf("corrupt %d, repairs %d, %d bytes with the old file open", got.Corrupt, got.Repairs, got.Bytes)
	}
	c.Release()
	if got := s.Stats(); got.Bytes > storage.ChunkSize+headCharge {
		t.Errorf("%d bytes after the old file's last reader", got.Bytes)
	}
	fill(t, repaired)
	if n, err := read(t, repaired, whole(repaired)); n != repaired.Len() || err != nil {
		t.Errorf("repaired: %d, %v", n, err)
	}
	repaired.Release()
	if err := auditBooks(s); err != nil {
		t.Error(err)
	}
}

// A warm run needs no read and no slot; a cold one waits for a slot no longer
// than its context.
func TestColdReadsNeedASlot(t *testing.T) {
	s := openStore(t, Config{IOSlots: 1})
	key, v := object("slot", testSize, 0)
	c := create(t, s, key, v)
	defer c.Release()
	fill(t, c)
	s.drives()[0].slots <- struct{}{}
	if n, err := c.Ready(t.Context(), whole(c)); n != c.Len() || err != nil {
		t.Errorf("warm: %d, %v", n, err)
	}
	dropCache(t, chunkPath(c.drive.path, key))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if n, err := c.Ready(ctx, whole(c)); n != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("cold without a slot: %d, %v", n, err)
	}
	<-s.drives()[0].slots
	if n, err := c.Ready(t.Context(), whole(c)); n != verifyRun || err != nil {
		t.Errorf("cold with a slot: %d, %v", n, err)
	}
}

func TestScrubFindsAndRepairs(t *testing.T) {
	s := openStore(t, Config{ScrubRate: 1 << 50})
	key, v := object("scrub", testSize, 0)
	c := create(t, s, key, v)
	fill(t, c)
	path := chunkPath(c.drive.path, key)
	c.Release()
	flipDirect(t, path, dataOff+9*storage.BlockSize)
	s.scrubChunk(t.Context(), key)
	if st := s.Stats(); st.Corrupt != 1 || st.Repairs != 1 {
		t.Errorf("corrupt %d, repairs %d", st.Corrupt, st.Repairs)
	}
	for got, present := range s.Keys {
		if got != key || present.Count() != storage.BlocksPerChunk-1 {
			t.Errorf("%s has %d blocks", got, present.Count())
		}
	}
}

// Both ways to ask the kernel agree.
func TestResidentAnswers(t *testing.T) {
	s := openStore(t, Config{})
	key, v := object("resident", testSize, 0)
	c := create(t, s, key, v)
	defer c.Release()
	fill(t, c)
	page := int64(os.Getpagesize())
	ask := func() (bool, bool) {
		return resident(c.f, c.base, c.length), mincore(int(c.f.Fd()), c.base, c.length/page, page)
	}
	if a, b := ask(); !a || !b {
		t.Errorf("after writing: %v, %v", a, b)
	}
	dropCache(t, chunkPath(c.drive.path, key))
	if a, b := ask(); a || b {
		t.Errorf("after dropping: %v, %v", a, b)
	}
	if _, err := c.f.ReadAt(make([]byte, 1), c.base); err != nil {
		t.Fatal(err)
	}
	if a, b := ask(); a || b {
		t.Errorf("with one page read: %v, %v", a, b)
	}
}
