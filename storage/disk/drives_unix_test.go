//go:build unix

package disk

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mccd/mccd/storage"
)

// spread makes n chunks with all blocks, and returns their keys.
func spread(t *testing.T, s *Store, n uint32) []storage.ChunkKey {
	t.Helper()
	var keys []storage.ChunkKey
	for i := range n {
		key, v := object("spread", 64*storage.ChunkSize, i)
		c := create(t, s, key, v)
		fill(t, c, 0, 1, 2)
		c.Release()
		keys = append(keys, key)
	}
	return keys
}

// allThere reads what spread made.
func allThere(t *testing.T, s *Store, keys []storage.ChunkKey) {
	t.Helper()
	for _, key := range keys {
		c, err := s.Lookup(key)
		if err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		if n, err := read(t, c, whole(c)); n != 3*storage.BlockSize || err != nil {
			t.Errorf("%s: %d bytes, %v", key, n, err)
		}
		c.Release()
	}
}

// run runs s until the test ends.
func runStore(t *testing.T, s *Store) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
}

// A drive is replaced while its content is read: all of it moves, readers keep
// what they have open, and a later start finds it on the new one.
func TestReplaceDriveWhileReading(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	changed := make(chan struct{}, 8)
	s := openStore(t, Config{MoveRate: -1, Changed: func() { changed <- struct{}{} }}, a)
	runStore(t, s)
	<-s.Indexed()
	keys := spread(t, s, 12)
	rec := &storage.Object{ID: keys[0].Object, Host: "cdn.test", Path: "/spread", Version: storage.Version{Kind: storage.ValidatorETag, ETag: `"x"`, Size: 5}}
	if err := s.PutRecord(rec); err != nil {
		t.Fatal(err)
	}
	held, err := s.Lookup(keys[3])
	if err != nil {
		t.Fatal(err)
	}
	defer held.Release()
	if err := s.RemoveDrive(t.Context(), a, Removal{}); !errors.Is(err, ErrDrive) {
		t.Fatalf("the only drive is removed: %v", err)
	}
	var done, total int64
	err = s.ReplaceDrive(t.Context(), a, Drive{Path: b, Size: 256 << 20}, Removal{Progress: func(d, n int64) { done, total = d, n }})
	if err != nil {
		t.Fatal(err)
	}
	<-changed
	if done == 0 || done > total {
		t.Errorf("moved %d of %d", done, total)
	}
	f, base := held.File()
	got := make([]byte, storage.BlockSize)
	if _, err := f.ReadAt(got, base); err != nil || string(got) != string(content(keys[3], storage.Span{End: storage.BlockSize})) {
		t.Errorf("what was open is not readable any more: %v", err)
	}
	allThere(t, s, keys)
	if o, err := s.Record(rec.ID); err != nil || o.Path != rec.Path {
		t.Errorf("record: %v", err)
	}
	st := s.Stats()
	if len(st.Drives) != 1 || st.Drives[0].Path != b || st.Drives[0].Chunks != int64(len(keys)) || st.MemBytes != 0 {
		t.Errorf("stats: %+v", st)
	}
	if err := filepath.WalkDir(filepath.Join(a, "chunks"), func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			t.Errorf("%s stays", path)
		}
		return err
	}); err != nil {
		t.Error(err)
	}
}

// What another drive holds comes into the index when it is added, and leaves it
// when the drive is dropped, which can be added again.
func TestAddAndDropDrive(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	s := openStore(t, Config{}, b)
	keys := spread(t, s, 4)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	changed := make(chan struct{}, 8)
	s = openStore(t, Config{Changed: func() { changed <- struct{}{} }}, a)
	runStore(t, s)
	for range 2 {
		if err := s.AddDrive(t.Context(), Drive{Path: b, Size: 256 << 20}); err != nil {
			t.Fatal(err)
		}
		if err := s.AddDrive(t.Context(), Drive{Path: b, Size: 256 << 20}); !errors.Is(err, ErrDrive) {
			t.Errorf("added twice: %v", err)
		}
		allThere(t, s, keys) // before its scan is over, too
		<-changed
		told := 0
		for range s.Keys {
			told++
		}
		if told != len(keys) {
			t.Errorf("%d chunks are told", told)
		}
		if err := s.RemoveDrive(t.Context(), b, Removal{Drop: true}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Lookup(keys[0]); !errors.Is(err, ErrNotHeld) {
			t.Errorf("after the drop: %v", err)
		}
	}
}

// Nobody waits for a drive that hangs: its reads end at once, its chunks count as
// not held, and it comes back with all it had when it answers again.
func TestDriveThatHangs(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var hanging atomic.Pointer[chan struct{}]
		f := newFaultFS()
		f.fail = func(op Op, path string) error {
			if ch := hanging.Load(); ch != nil && strings.HasPrefix(path, a) {
				<-*ch
			}
			return nil
		}
		s, err := New(Config{FS: f, Drives: []Drive{{a, 256 << 20}, {b, 256 << 20}}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); _ = s.Run(ctx) }()
		<-s.Indexed()
		keys := spread(t, s, 32)
		s.closeIdle(false)
		gate := make(chan struct{})
		hanging.Store(&gate)
		var away []storage.ChunkKey
		for _, key := range keys {
			begun := time.Now()
			c, err := s.Lookup(key)
			if took := time.Since(begun); took > 7*time.Second {
				t.Errorf("waited %s", took)
			}
			if errors.Is(err, ErrNotHeld) {
				away = append(away, key)
				continue
			}
			if err != nil || c.drive.path != b {
				t.Errorf("%s: %v", key, err)
			}
			c.Release()
		}
		if len(away) < 8 || s.driveAt(a).stats().State != StateSlow {
			t.Fatalf("%d chunks are away, state %v", len(away), s.driveAt(a).stats().State)
		}
		_, v := object("spread", 64*storage.ChunkSize, 0)
		for _, key := range away[:4] { // they go on elsewhere
			c := create(t, s, key, v)
			if c.drive == nil || c.drive.path != b {
				t.Errorf("%s is not on the other drive", key)
			}
			fill(t, c, 0, 1, 2)
			c.Release()
		}
		hanging.Store(nil)
		close(gate)
		<-time.After(15 * time.Second)
		if st := s.driveAt(a).stats(); st.State != StateOK || !st.Scanned {
			t.Errorf("the drive is not back: %+v", st)
		}
		for _, key := range keys {
			if c, err := s.Lookup(key); err != nil {
				t.Errorf("after its return: %s: %v", key, err)
			} else {
				c.Release()
			}
		}
		stop()
		<-done
		if err := auditBooks(s); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// A mount that goes away is noticed before anything is written under its path,
// and taken in again when it is back.
func TestDriveThatIsUnmounted(t *testing.T) {
	a, b := filepath.Join(t.TempDir(), "mount"), t.TempDir()
	s := openStore(t, Config{}, a, b)
	scanAll(t, s)
	keys := spread(t, s, 24)
	s.closeIdle(false)
	if err := os.Rename(a, a+".away"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(a, 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range uint32(24) {
		key, v := object("new", 64*storage.ChunkSize, i)
		c := create(t, s, key, v)
		fill(t, c, 0)
		if c.drive == nil || c.drive.path != b {
			t.Error("a chunk is not on the drive that is there")
		}
		c.Release()
	}
	if left, err := os.ReadDir(a); err != nil || len(left) > 0 {
		t.Errorf("written under the mount point: %v, %v", left, err)
	}
	d := s.driveAt(a)
	if d.checkPresent(); d.stats().State != StateMissing {
		t.Fatalf("state %v", d.stats().State)
	}
	if err := os.Remove(a); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(a+".away", a); err != nil {
		t.Fatal(err)
	}
	d.checkPresent()
	if err := s.scan(t.Context(), d); err != nil || d.stats().State != StateOK {
		t.Fatalf("state %v, %v", d.stats().State, err)
	}
	allThere(t, s, keys)
}

// A drive that is not there at the start is taken in when it is.
func TestDriveMissingAtTheStart(t *testing.T) {
	blocked, b := filepath.Join(t.TempDir(), "drive"), t.TempDir()
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		s, err := New(Config{Drives: []Drive{{blocked, 256 << 20}, {b, 256 << 20}}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); _ = s.Run(ctx) }()
		<-s.Indexed() // nobody waits for it
		if st := s.Stats().Drives[0]; st.State != StateMissing || st.Cause == nil {
			t.Errorf("before: %+v", st)
		}
		if err := os.Remove(blocked); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Minute)
		if st := s.Stats().Drives[0]; st.State != StateOK || !st.Scanned {
			t.Errorf("after: %+v", st)
		}
		stop()
		<-done
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// A block that rots is told to Repair after the chunk went on without it, and
// counts against its drive.
func TestRepairIsTold(t *testing.T) {
	type told struct {
		key     storage.ChunkKey
		missing Bitmap
	}
	ch := make(chan told, 4)
	f := newFaultFS()
	s := openStore(t, Config{FS: f, Repair: func(key storage.ChunkKey, missing Bitmap) { ch <- told{key, missing} }})
	key, v := object("rot", testSize, 0)
	c := create(t, s, key, v)
	fill(t, c, 0, 1, 2)
	c.condemn(1, nil)
	c.Release()
	c, err := s.Lookup(key)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Release()
	got := <-ch
	if got.key != key || got.missing.Count() != 1 || !got.missing.Has(1) || c.Presence().Has(1) {
		t.Errorf("told %+v, present %b", got, c.Presence())
	}
	if st := s.Stats().Drives[0]; st.Corrupt != 1 || st.CorruptToday != 1 || st.Failing {
		t.Errorf("drive: %+v", st)
	}
}
