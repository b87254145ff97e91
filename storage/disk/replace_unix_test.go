//go:build unix

package disk

import (
	"errors"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/mccd/mccd/storage"
)

// chill takes a block out of the page cache.
func (f *faultFS) chill(t *testing.T, c *Chunk, i int) {
	t.Helper()
	fi, err := os.Stat(chunkPath(c.drive.path, c.key))
	if err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cold[coldBlock{fi.Sys().(*syscall.Stat_t).Ino, i}] = true
}

// A repair waits for the block that is being written, and has it; new writes
// go to the repaired file.
func TestRepairWaitsForWrites(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var hold atomic.Bool
		held, free := make(chan struct{}), make(chan struct{})
		f := newFaultFS()
		f.fail = func(op Op, _ string) error {
			if op == OpBlock && hold.Swap(false) {
				close(held)
				<-free
			}
			return nil
		}
		s := openStore(t, Config{FS: f}, dir)
		key, v := object("waits", testSize, 1)
		c := create(t, s, key, v)
		fill(t, c, 0, 1)
		w, err := c.BeginWrite()
		if err != nil {
			t.Fatal(err)
		}
		hold.Store(true)
		written := make(chan error)
		go func() {
			err := w.WriteBlock(2, pieces(c, 2))
			if err == nil {
				err = w.WriteBlock(3, pieces(c, 3))
			}
			written <- err
		}()
		<-held
		c.condemn(0, nil)
		var repaired atomic.Pointer[Chunk]
		done := make(chan struct{})
		go func() {
			defer close(done)
			if got, err := s.Lookup(key); err != nil {
				t.Error(err)
			} else {
				repaired.Store(got)
			}
		}()
		synctest.Wait()
		if repaired.Load() != nil {
			t.Fatal("repaired while a block was being written")
		}
		if _, err := c.BeginWrite(); !errors.Is(err, ErrCondemned) {
			t.Errorf("a new flight while a repair is pending: %v", err)
		}
		close(free)
		if err := <-written; err != nil {
			t.Fatal(err)
		}
		<-done
		r := repaired.Load()
		if r == c || w.Chunk() != r || r.Presence() != (Bitmap{0b1110}) {
			t.Errorf("repaired file has %b, the writer's %b", r.Presence(), w.Chunk().Presence())
		}
		if c.Presence() != (Bitmap{0b0110}) {
			t.Errorf("the old file has %b", c.Presence())
		}
		w.End()
		r.Release()
		c.Release()
		if err := auditBooks(s); err != nil {
			t.Error(err)
		}
	})
}

// Many readers of one cold block cost one read of it, and no second check goes
// on beside the first.
func TestOneCheckAtATime(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var reads atomic.Int32
		free := make(chan struct{})
		f := newFaultFS()
		f.fail = func(op Op, _ string) error {
			if op == OpVerify {
				reads.Add(1)
				<-free
			}
			return nil
		}
		s := openStore(t, Config{FS: f, IOSlots: 8}, dir)
		key, v := object("check", testSize, 1)
		c := create(t, s, key, v)
		defer c.Release()
		fill(t, c)
		f.chill(t, c, 2)
		results := make(chan error, 50)
		for range cap(results) {
			go func() {
				n, err := c.Ready(t.Context(), storage.Span{Off: 2*storage.BlockSize + 9, End: c.Len()})
				if err == nil && n <= 0 {
					err = errors.New("nothing is ready")
				}
				results <- err
			}()
		}
		synctest.Wait()
		if got := reads.Load(); got != 1 {
			t.Errorf("%d reads at one time", got)
		}
		close(free)
		for range cap(results) {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
		if got := reads.Load(); got != 1 {
			t.Errorf("%d reads of one cold run", got)
		}
	})
}

// A replaced chunk reports nothing more, so that a file that is opened again
// has one Chunk that knows what is in the page cache.
func TestReplacedChunkReportsNothing(t *testing.T) {
	var full atomic.Bool
	f := newFaultFS()
	f.fail = func(op Op, _ string) error {
		if op == OpBlock && full.Load() {
			return syscall.ENOSPC
		}
		return nil
	}
	s := openStore(t, Config{FS: f})
	key, v := object("retired", testSize, 1)
	c := create(t, s, key, v)
	defer c.Release()
	fill(t, c, 0, 1)
	full.Store(true)
	fill(t, c, 2)
	if n, err := c.Ready(t.Context(), whole(c)); n != 0 || !errors.Is(err, ErrMoved) {
		t.Errorf("old chunk: %d, %v", n, err)
	}
	if err := c.stale(); !errors.Is(err, ErrMoved) {
		t.Errorf("old chunk is %v", err)
	}
	// The memory goes, the file on the drive is opened a second time.
	if !s.dropMemory(0) {
		t.Fatal("no memory file")
	}
	again, err := s.Lookup(key)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Release()
	if n, err := read(t, again, whole(again)); n != 2*storage.BlockSize || err != nil || !again.Stored() {
		t.Errorf("the drive's file: %d, %v, stored %v", n, err, again.Stored())
	}
	if n, err := c.Ready(t.Context(), whole(c)); n != 0 || !errors.Is(err, ErrMoved) {
		t.Errorf("old chunk beside the new one: %d, %v", n, err)
	}
}
