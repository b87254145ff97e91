//go:build unix

package disk

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mccd/mccd/storage"
)

// What came with a drive after Purged was asked was not judged by the purges
// that SetPurged notes.
func TestPurgedOfWhatCameMeanwhile(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	stamp := func(index uint64) storage.Stamp { return storage.Stamp{Cluster: "c", Generation: 1, Index: index} }
	s := openStore(t, Config{}, b)
	spread(t, s, 2)
	scanAll(t, s)
	if s.Purged(); s.SetPurged(stamp(3)) != nil || s.Close() != nil {
		t.Fatal("no stamp")
	}
	s = openStore(t, Config{}, a)
	scanAll(t, s)
	if s.Purged(); s.SetPurged(stamp(5)) != nil {
		t.Fatal("no stamp")
	}
	if err := s.AddDrive(t.Context(), Drive{Path: b, Size: 256 << 20}); err != nil {
		t.Fatal(err)
	}
	want := func(index uint64) {
		t.Helper()
		if got, blank := s.Purged(); got != stamp(index) || blank {
			t.Fatalf("judged by %+v, %v, want %d", got, blank, index)
		}
	}
	set := func(index uint64) {
		t.Helper()
		if err := s.SetPurged(stamp(index)); err != nil {
			t.Fatal(err)
		}
	}
	want(3)
	set(10) // a sweep that did not see what is on b
	want(3)
	d := s.driveAt(b)
	if err := s.scan(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	set(10) // the same sweep, still
	want(3)
	set(10)
	want(10)
	d.takeOut(outMissing, errors.New("away"))
	want(10)
	set(12)
	d.takeBack(outMissing)
	set(12)
	want(10)
	if err := s.scan(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	want(10)
	if err := s.backPurged(); err != nil { // what is on b moves
		t.Fatal(err)
	}
	set(12)
	want(10)
	set(12)
	want(12)
}

// Who comes for a chunk that is open on a drive out of reach gets another file.
func TestCreateWhileItsDriveIsOut(t *testing.T) {
	s := openStore(t, Config{}, t.TempDir(), t.TempDir())
	scanAll(t, s)
	key, v := object("out", testSize, 0)
	c := create(t, s, key, v)
	defer c.Release()
	fill(t, c, 0)
	c.drive.takeOut(outSlow, errors.New("hangs"))
	other := create(t, s, key, v)
	defer other.Release()
	if other == c || other.drive == nil || other.drive == c.drive {
		t.Error("the chunk on the drive out of reach is given again")
	}
}

// A drive that was removed is not waited for, whatever its last reader meets.
func TestRemovedDriveComesBack(t *testing.T) {
	s := openStore(t, Config{}, t.TempDir(), t.TempDir())
	scanAll(t, s)
	d := s.drives()[1]
	if err := s.RemoveDrive(t.Context(), d.path, Removal{Drop: true}); err != nil {
		t.Fatal(err)
	}
	d.rescan()
	if !s.Stats().Indexed {
		t.Error("the index is waited for")
	}
}

// An index that a process did not take over tells nothing to the one after it.
func TestSavedIndexNotTaken(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, Config{}, dir)
	scanAll(t, s)
	spread(t, s, 1)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, Config{}, dir)
	key, v := object("later", testSize, 0)
	c := create(t, s, key, v)
	fill(t, c, 0)
	c.Release()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, Config{}, dir)
	s.loadIndex(t.Context(), s.drives()[0])
	if c, err := s.Lookup(key); err != nil {
		t.Errorf("what was stored later is not found: %v", err)
	} else {
		c.Release()
	}
}

// A drive with a stretch of bad blocks is emptied of all that can be read, and a
// read that moves its content counts as an operation on it.
func TestReplaceDriveWithBadBlocks(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		f := newFaultFS()
		s, err := New(Config{FS: f, MoveRate: -1, Drives: []Drive{{a, 256 << 20}}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); _ = s.Run(ctx) }()
		<-s.Indexed()
		keys := spread(t, s, 6)
		var bad []storage.ChunkKey
		for i := range uint32(2) {
			key, v := object("bad", 64*storage.ChunkSize, i)
			c := create(t, s, key, v)
			fill(t, c, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9)
			c.Release()
			bad = append(bad, key)
		}
		d := s.driveAt(a)
		f.fail = func(op Op, path string) error {
			if op != OpCopy {
				return nil
			}
			if d.clock.idle() {
				t.Error("a read that nobody watches")
			}
			for _, key := range bad {
				if path == chunkPath(a, key) {
					return syscall.EIO
				}
			}
			return nil
		}
		if err := s.ReplaceDrive(ctx, a, Drive{Path: b, Size: 256 << 20}, Removal{}); err != nil {
			t.Error(err)
		}
		allThere(t, s, keys)
		time.Sleep(time.Second)
		stop()
		<-done
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}
