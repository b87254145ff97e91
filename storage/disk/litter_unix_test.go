//go:build unix

package disk

import (
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
)

// What a drive does not let be removed counts until it is gone.
func TestLitterCountsUntilItIsGone(t *testing.T) {
	f := newFaultFS()
	var refuse atomic.Bool
	refuse.Store(true)
	f.fail = func(op Op, _ string) error {
		if refuse.Load() && (op == OpSize || op == OpDiscard) {
			return syscall.EIO
		}
		return nil
	}
	s := openStore(t, Config{FS: f}, t.TempDir())
	scanAll(t, s)
	key, v := object("litter", testSize, 0)
	create(t, s, key, v).Release() // in memory
	d := s.drives()[0]
	tmp := filepath.Join(d.path, "tmp")
	if left, _ := os.ReadDir(tmp); len(left) != 1 || d.used.Load() != headCharge {
		t.Errorf("%d files left, %d bytes count", len(left), d.used.Load())
	}
	if n := s.pickUp(d, nil); n != 1 {
		t.Errorf("%d files stay while the drive refuses", n)
	}
	refuse.Store(false)
	if n := s.pickUp(d, nil); n != 0 {
		t.Errorf("%d files stay", n)
	}
	if left, _ := os.ReadDir(tmp); len(left) != 0 || d.used.Load() != 0 {
		t.Errorf("%d files left, %d bytes count", len(left), d.used.Load())
	}
}

// A purge is not over before what a chunk left behind is gone.
func TestDropWaitsForLitter(t *testing.T) {
	f := newFaultFS()
	var refuse atomic.Bool
	refuse.Store(true)
	f.fail = func(op Op, _ string) error {
		if refuse.Load() && op == OpDiscard {
			return syscall.EIO
		}
		return nil
	}
	s := openStore(t, Config{FS: f}, t.TempDir())
	scanAll(t, s)
	key, _ := object("dropped", testSize, 0)
	d := s.drives()[0]
	path := chunkPath(d.path, key)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, make([]byte, 4096), 0o600)); err != nil {
		t.Fatal(err)
	}
	e := &entry{key: key, drive: d}
	e.bytes.Store(4096)
	d.used.Add(4096)
	d.leave(litterFile{path: path, e: e, named: true})
	if err := s.DropChunk(t.Context(), key, nil); err == nil {
		t.Error("dropped, though a file stays")
	}
	refuse.Store(false)
	if err := s.DropChunk(t.Context(), key, nil); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) || d.used.Load() != 0 {
		t.Errorf("the file: %v; %d bytes count", err, d.used.Load())
	}
}

// A file of a chunk that is held again under the same name is not removed.
func TestLitterKeepsANameTakenAgain(t *testing.T) {
	s := openStore(t, Config{})
	scanAll(t, s)
	key, v := object("taken", testSize, 0)
	c := create(t, s, key, v)
	defer c.Release()
	fill(t, c)
	d, before := c.drive, c.drive.used.Load()
	left := &entry{key: key, drive: d}
	left.bytes.Store(4096)
	d.used.Add(4096)
	d.leave(litterFile{path: chunkPath(d.path, key), e: left, named: true})
	if n := s.pickUp(d, nil); n != 0 {
		t.Errorf("%d files stay", n)
	}
	if _, err := os.Stat(chunkPath(d.path, key)); err != nil {
		t.Error(err)
	}
	if got := d.used.Load(); got != before {
		t.Errorf("%d bytes count, want %d", got, before)
	}
}

// A scan that finds a second copy of a chunk that memory stands in for removes
// it: it would count nowhere.
func TestScanRemovesASecondCopyUnderMemory(t *testing.T) {
	s := openStore(t, Config{}, t.TempDir(), t.TempDir())
	key, v := object("second", testSize, 0)
	c := create(t, s, key, v)
	fill(t, c, 0)
	other := s.drives()[0]
	if other == c.drive {
		other = s.drives()[1]
	}
	sh := s.shard(key)
	memory := &entry{key: key, under: c.e}
	c.Release()
	sh.mu.Lock()
	sh.index[key] = memory
	sh.mu.Unlock()
	path := chunkPath(other.path, key)
	b, err := os.ReadFile(chunkPath(c.drive.path, key))
	if err := errors.Join(err, os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, b, 0o600)); err != nil {
		t.Fatal(err)
	}
	s.found(t.Context(), other, key, Info{Name: chunkName(key), Bytes: int64(len(b)), Size: int64(len(b))})
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the second copy stays: %v", err)
	}
	if memory.under != c.e || other.used.Load() != 0 {
		t.Errorf("under is %p, %d bytes count on the other drive", memory.under, other.used.Load())
	}
}

// What a former process left in the making, on a drive that refuses to let it
// go at the start, counts and goes as soon as the drive lets it.
func TestFormerLitter(t *testing.T) {
	for _, c := range []struct {
		what   string
		refuse func(op Op, method string) bool // until the scan is over
		left   int                             // after the scan
	}{
		{"not listed at the start", func(op Op, method string) bool { return op == OpClean && method == "list" }, 0},
		{"not removed at the start", func(op Op, method string) bool { return op == OpClean && method == "remove" }, 1},
	} {
		t.Run(c.what, func(t *testing.T) {
			dir := t.TempDir()
			if err := openStore(t, Config{}, dir).Close(); err != nil {
				t.Fatal(err)
			}
			tmp := filepath.Join(dir, "tmp")
			if err := os.WriteFile(filepath.Join(tmp, "former.1"), make([]byte, 3*4096), 0o600); err != nil {
				t.Fatal(err)
			}
			f := &refusingFS{refuse: c.refuse}
			s := openStore(t, Config{FS: f}, dir)
			d := s.drives()[0]
			own := d.tmpName("own")
			if err := os.WriteFile(own, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			scanAll(t, s)
			if left, _ := os.ReadDir(tmp); len(left) != 1+c.left || d.used.Load() != int64(c.left*3*4096) {
				t.Errorf("%d files left after the scan, %d bytes count", len(left), d.used.Load())
			}
			f.refuse = nil
			if n := s.pickUp(d, nil); n != 0 || d.used.Load() != 0 {
				t.Errorf("%d files stay, %d bytes count", n, d.used.Load())
			}
			if left, _ := os.ReadDir(tmp); len(left) != 1 || left[0].Name() != filepath.Base(own) {
				t.Errorf("left: %v", left)
			}
		})
	}
}

// refusingFS refuses to list and remove.
type refusingFS struct {
	OS
	refuse func(op Op, method string) bool // nil = nothing
}

func (f *refusingFS) List(op Op, dir string, yield func(Info) bool) error {
	if f.refuse != nil && f.refuse(op, "list") {
		return syscall.EIO
	}
	return f.OS.List(op, dir, yield)
}

func (f *refusingFS) Remove(op Op, path string) error {
	if f.refuse != nil && f.refuse(op, "remove") {
		return syscall.EIO
	}
	return f.OS.Remove(op, path)
}
