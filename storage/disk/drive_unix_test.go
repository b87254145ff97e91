//go:build unix

package disk

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/mccd/mccd/storage"
)

func TestSecondOpenerIsRefused(t *testing.T) {
	dir, free := filepath.Join(t.TempDir(), "new", "drive"), t.TempDir()
	openStore(t, Config{}, dir)
	_, err := New(Config{Drives: []Drive{{Path: free, Size: 1 << 30}, {Path: dir, Size: 1 << 30}}})
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), dir) {
		t.Fatalf("second opener: %v", err)
	}
	// What the refused one had locked is free again.
	openStore(t, Config{}, free)
}

func TestDriveIdentity(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       error
	}{
		{"newer format", "mccd drive\nformat 2\nid 00112233445566778899aabbccddeeff\n", ErrFormat},
		{"known format", "mccd drive\nformat 1\nid 00112233445566778899aabbccddeeff\n", nil},
		{"additions of a later release", "mccd drive\nformat 1\nid 00112233445566778899aabbccddeeff\nminor 3\n", nil},
		{"newer format of another shape", "mccd drive\nformat 2\nkeys 7\n", ErrFormat},
		{"other file", "hello", errDamaged},
		{"short id", "mccd drive\nformat 1\nid 0011\n", errDamaged},
		{"odd id", "mccd drive\nformat 1\nid zz112233445566778899aabbccddeeff\n", errDamaged},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "drive"), []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := New(Config{Drives: []Drive{{Path: dir, Size: 1 << 30}}})
			if !errors.Is(err, tt.want) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			if err == nil {
				_ = s.Close()
			}
		})
	}
}

func TestDriveKeepsItsID(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, Config{}, dir)
	id := s.drives()[0].id
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if again := openStore(t, Config{}, dir).drives()[0].id; again != id || id == sha256id(dir) {
		t.Errorf("id %x, then %x", id, again)
	}
}

func TestTemporaryFilesAreCleaned(t *testing.T) {
	dir := t.TempDir()
	if err := openStore(t, Config{}, dir).Close(); err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(dir, "tmp", "left.1")
	if err := os.WriteFile(left, make([]byte, 100), 0o600); err != nil {
		t.Fatal(err)
	}
	openStore(t, Config{}, dir)
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("temporary file after a start: %v", err)
	}
}

// A drive that cannot be written at the start serves what it has, and new
// chunks come from memory.
func TestReadOnlyStart(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, Config{}, dir)
	key, v := object("kept", testSize, 1)
	c := create(t, s, key, v)
	fill(t, c, 0, 1, 2)
	c.Release()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	f := newFaultFS()
	f.fail = func(op Op, _ string) error {
		switch op {
		case OpScan, OpLoad, OpVerify, OpCopy, OpSpace, OpMemory, OpOpen:
			return nil
		}
		return syscall.EROFS
	}
	s = openStore(t, Config{FS: readOnlyFS{f}}, dir)
	if st := s.Stats().Drives[0]; st.State != StateReadOnly || !errors.Is(st.Cause, syscall.EROFS) {
		t.Errorf("state %v, cause %v", st.State, st.Cause)
	}
	c, err := s.Lookup(key)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Release()
	if n, err := read(t, c, whole(c)); n != 3*storage.BlockSize || err != nil {
		t.Errorf("read %d, %v", n, err)
	}
	// The chunk goes on in memory with what it has.
	fill(t, c)
	moved := create(t, s, key, v)
	defer moved.Release()
	if moved == c || moved.Stored() {
		t.Error("chunk did not move")
	}
	if n, err := read(t, moved, whole(moved)); n != moved.Len() || err != nil {
		t.Errorf("read after move %d, %v", n, err)
	}
	if _, err := read(t, c, whole(c)); !errors.Is(err, ErrMoved) {
		t.Errorf("old chunk: %v", err)
	}
	key2, v2 := object("new", testSize, 0)
	c2 := create(t, s, key2, v2)
	defer c2.Release()
	fill(t, c2)
	if n, err := read(t, c2, whole(c2)); n != c2.Len() || err != nil || c2.Stored() {
		t.Errorf("new chunk: %d, %v, stored %v", n, err, c2.Stored())
	}
}

// readOnlyFS refuses to open chunk files for writing, as a read-only mount.
type readOnlyFS struct{ *faultFS }

func (f readOnlyFS) Open(op Op, path string, flag int) (*os.File, error) {
	if flag&(os.O_RDWR|os.O_CREATE) != 0 {
		return nil, syscall.EROFS
	}
	return f.OS.Open(op, path, flag)
}
