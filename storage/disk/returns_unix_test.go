//go:build unix

package disk

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
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
		time.Sleep(time.Second) //nolint:forbidigo // fake time
		stop()
		<-done
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// A saved index tells for good only of what is there.
func TestSavedIndexOfWhatIsGone(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, Config{}, dir)
	scanAll(t, s)
	keys := spread(t, s, 3)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(chunkPath(dir, keys[1])); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, Config{}, dir)
	scanAll(t, s)
	told := 0
	for key := range s.Keys {
		if told++; key == keys[1] {
			t.Error("what is gone is told")
		}
	}
	if told != 2 {
		t.Errorf("%d chunks are told", told)
	}
	if err := auditBooks(s); err != nil {
		t.Error(err)
	}
}

// Nothing is written below the mount point of a drive whose id could not be read
// at the start, and which went away then.
func TestDriveUnreadAndUnmounted(t *testing.T) {
	a, b := filepath.Join(t.TempDir(), "mount"), t.TempDir()
	s := openStore(t, Config{}, a, b)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	f := newFaultFS()
	f.fail = func(op Op, path string) error {
		if op == OpIdent && strings.HasPrefix(path, a) {
			return syscall.EIO
		}
		return nil
	}
	s = openStore(t, Config{FS: f}, a, b)
	if err := os.Rename(a, a+".away"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(a, 0o700); err != nil {
		t.Fatal(err)
	}
	f.fail = nil
	d := s.driveAt(a)
	d.recovered(false)
	_ = d.saveTotals(false)
	if left, err := os.ReadDir(a); err != nil || len(left) > 0 {
		t.Errorf("written under the mount point: %v, %v", left, err)
	}
	if os.Remove(a) != nil || os.Rename(a+".away", a) != nil {
		t.Fatal("it does not come back")
	}
}

// Two who find another drive in the place of one get along.
func TestOtherDriveFoundTwice(t *testing.T) {
	a, b := filepath.Join(t.TempDir(), "mount"), t.TempDir()
	s := openStore(t, Config{}, a, b)
	runStore(t, s)
	<-s.Indexed()
	d := s.driveAt(a)
	if err := os.Rename(a, a+".away"); err != nil {
		t.Fatal(err)
	}
	other := openStore(t, Config{}, a)
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(d.checkPresent)
	}
	wg.Wait()
	if now := s.driveAt(a); now == d || !now.reachable() || len(s.drives()) != 2 {
		t.Errorf("drives %v", s.Stats().Drives)
	}
}

// Nobody who asks what is held waits for a drive that hangs.
func TestKeysOfDriveThatHangs(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		f := newFaultFS()
		s, err := New(Config{FS: f, Drives: []Drive{{dir, 256 << 20}}})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.scan(t.Context(), s.drives()[0]); err != nil {
			t.Fatal(err)
		}
		key, v := object("keys", testSize, 0)
		c := create(t, s, key, v)
		c.Release()
		s.closeIdle(false)
		s.held(key).listed = false
		f.fail = func(op Op, _ string) error {
			if op == OpOpen {
				<-gate
			}
			return nil
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); _ = s.Run(ctx) }()
		for range s.Keys {
			t.Error("told of a drive that hangs")
		}
		close(gate)
		stop()
		<-done
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// A record on a drive that fails while it is replaced goes on counting.
func TestRecordCountsOnADriveThatFails(t *testing.T) {
	f := newFaultFS()
	s := openStore(t, Config{FS: f})
	scanAll(t, s)
	key, v := object("record", testSize, 0)
	o := &storage.Object{ID: key.Object, Host: "cdn.test", Path: "/record", Version: v}
	if err := s.PutRecord(o); err != nil {
		t.Fatal(err)
	}
	before, sick := s.Stats().Bytes, false
	f.fail = func(op Op, path string) error {
		if sick = sick || op == OpRecord && filepath.Base(filepath.Dir(path)) == "tmp"; sick {
			return syscall.EIO
		}
		return nil
	}
	if err := s.PutRecord(o); err == nil {
		t.Fatal("it is stored")
	}
	f.fail = nil
	if got := s.Stats().Bytes; got < before {
		t.Errorf("%d bytes count, %d are there", got, before)
	}
}

// The scrub waits for a drive out of reach, and counts no round meanwhile.
func TestScrubWaitsForItsDrive(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s, err := New(Config{Drives: []Drive{{dir, 256 << 20}}, ScrubRate: 64 << 20})
		if err != nil {
			t.Fatal(err)
		}
		d := s.drives()[0]
		if err := s.scan(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		spread(t, s, 2)
		d.takeOut(outSlow, errors.New("hangs"))
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		s.scrub(ctx, d)
		if got := d.stats().Scrub.Rounds; got != 0 {
			t.Errorf("%d rounds over a drive out of reach", got)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}
