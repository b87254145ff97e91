//go:build unix

package disk

import (
	"errors"
	"os"
	"sync"
	"syscall"
	"testing"

	"github.com/mccd/mccd/storage"
)

// errKilled is what every operation gives once a faultFS was killed: the
// process that used it is as good as dead.
var errKilled = errors.New("killed")

// faultFS is the operating system's FS with faults. It also plays the page
// cache: blocks that were made cold are not resident until they are read.
type faultFS struct {
	OS
	// fail is asked before each operation, with the path; nil = no fault. A
	// torn error is returned after a part of the operation was done.
	fail func(op Op, path string) error

	mu   sync.Mutex
	dead bool
	cold map[coldBlock]bool
}

type coldBlock struct {
	inode uint64
	block int
}

// torn is an error after which a part of the bytes, or all of the operation,
// has happened.
type torn struct{ error }

func (e torn) Unwrap() error { return e.error }

func newFaultFS() *faultFS { return &faultFS{cold: map[coldBlock]bool{}} }

func (f *faultFS) kill() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dead = true
}

func (f *faultFS) killed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.dead
}

func (f *faultFS) check(op Op, path string) error {
	f.mu.Lock()
	dead, fail := f.dead, f.fail
	f.mu.Unlock()
	if dead {
		return errKilled
	}
	if fail != nil {
		return fail(op, path)
	}
	return nil
}

// do runs an operation that is done as a whole or not at all: a torn error
// comes after it.
func (f *faultFS) do(op Op, path string, run func() error) error {
	err := f.check(op, path)
	if err == nil || errors.As(err, &torn{}) {
		if rerr := run(); rerr != nil {
			return rerr
		}
	}
	return err
}

func (f *faultFS) Open(op Op, path string, flag int) (*os.File, error) {
	if err := f.check(op, path); err != nil {
		return nil, err
	}
	return f.OS.Open(op, path, flag)
}

func (f *faultFS) Memory(op Op, name string) (*os.File, error) {
	if err := f.check(op, name); err != nil {
		return nil, err
	}
	return f.OS.Memory(op, name)
}

func (f *faultFS) Write(op Op, file *os.File, off int64, bufs ...[]byte) error {
	err := f.check(op, file.Name())
	switch {
	case errors.As(err, &torn{}):
		var all []byte
		for _, b := range bufs {
			all = append(all, b...)
		}
		_ = f.OS.Write(op, file, off, all[:len(all)/2])
		return err
	case err != nil:
		return err
	}
	return f.OS.Write(op, file, off, bufs...)
}

func (f *faultFS) Read(op Op, file *os.File, off int64, p []byte) (int, error) {
	if err := f.check(op, file.Name()); err != nil {
		return 0, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.eachBlock(file, off, int64(len(p)), func(b coldBlock) { delete(f.cold, b) })
	return f.OS.Read(op, file, off, p)
}

func (f *faultFS) Resident(file *os.File, off, n int64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	warm := true
	f.eachBlock(file, off, n, func(b coldBlock) { warm = warm && !f.cold[b] })
	return warm && f.OS.Resident(file, off, n)
}

func (f *faultFS) eachBlock(file *os.File, off, n int64, yield func(coldBlock)) {
	if len(f.cold) == 0 || off < dataOff {
		return
	}
	fi, err := file.Stat()
	if err != nil {
		return
	}
	inode := fi.Sys().(*syscall.Stat_t).Ino
	for b := (off - dataOff) / storage.BlockSize; b <= (off-dataOff+n-1)/storage.BlockSize; b++ {
		yield(coldBlock{inode, int(b)})
	}
}

func (f *faultFS) Mkdir(op Op, path string) error {
	return f.do(op, path, func() error { return f.OS.Mkdir(op, path) })
}

func (f *faultFS) Truncate(op Op, file *os.File, size int64) error {
	return f.do(op, file.Name(), func() error { return f.OS.Truncate(op, file, size) })
}

func (f *faultFS) Rename(op Op, from, to string) error {
	return f.do(op, to, func() error { return f.OS.Rename(op, from, to) })
}

func (f *faultFS) Remove(op Op, path string) error {
	return f.do(op, path, func() error { return f.OS.Remove(op, path) })
}

func (f *faultFS) List(op Op, dir string, yield func(Info) bool) error {
	if err := f.check(op, dir); err != nil {
		return err
	}
	return f.OS.List(op, dir, yield)
}

func (f *faultFS) Space(op Op, path string) (Space, error) {
	if err := f.check(op, path); err != nil {
		return Space{}, err
	}
	return f.OS.Space(op, path)
}

// rot flips a bit of block i of a chunk file on its drive and takes the block
// out of the page cache; false when there is no such byte.
func (f *faultFS) rot(path string, i int, at int64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return false
	}
	defer file.Close()
	fi, err := file.Stat()
	if err != nil || flipBit(file, dataOff+int64(i)*storage.BlockSize+at) != nil {
		return false
	}
	f.cold[coldBlock{fi.Sys().(*syscall.Stat_t).Ino, i}] = true
	return true
}

// flip changes one bit of a file.
func flip(t testing.TB, path string, off int64) {
	t.Helper()
	if err := tryFlip(path, off); err != nil {
		t.Fatal(err)
	}
}

func tryFlip(path string, off int64) error {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	return flipBit(file, off)
}

func flipBit(file *os.File, off int64) error {
	var b [1]byte
	if _, err := file.ReadAt(b[:], off); err != nil {
		return err
	}
	b[0] ^= 0x10
	_, err := file.WriteAt(b[:], off)
	return err
}
