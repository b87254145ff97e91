package disk

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"
)

// kind names operations that fail alike: what they are for, and which method
// of FS they are.
type kind struct {
	op     Op
	method string
}

func (k kind) String() string { return k.op.String() + "/" + k.method }

// ailment is what befalls one operation.
type ailment uint8

const (
	failEIO ailment = iota
	failENOSPC
	failShort // half of it is done, or all of it, and then it fails
	failDelay // it takes 10 s, and succeeds
	failDrive // from then on all that its drive is asked fails, for a minute
	ailments
)

func (a ailment) String() string { return [...]string{"EIO", "ENOSPC", "short", "delay", "drive"}[a] }

// sickDelay is how long a delayed operation takes, sickTime how long a drive
// fails; tests that use them run in a bubble of testing/synctest.
const (
	sickDelay = 10 * time.Second
	sickTime  = time.Minute
)

// sickFS is a file system whose nth operation of one kind fails. It keeps
// books of what its drives hold: see books.
type sickFS struct {
	*faultFS
	books *books

	mu     sync.Mutex
	counts map[kind]int
	aim    kind
	nth    int // 0 = nothing fails
	what   ailment
	hit    bool
	// lost is a drive that fails, until then.
	lost string
	till time.Time
}

func newSickFS(b *books) *sickFS {
	return &sickFS{faultFS: newFaultFS(), books: b, counts: map[kind]int{}}
}

// step counts an operation. A torn error is to be returned after half of it,
// or all of it, was done.
func (f *sickFS) step(op Op, method, path string) error {
	k := kind{op, method}
	f.mu.Lock()
	f.counts[k]++
	hit := k == f.aim && f.counts[k] == f.nth
	if hit {
		f.hit = true
	}
	if hit && f.what == failDrive {
		f.lost, f.till = f.books.under(path), time.Now().Add(sickTime)
	}
	if f.lost != "" && f.books.under(path) == f.lost {
		hit = time.Now().Before(f.till)
	}
	f.mu.Unlock()
	switch {
	case !hit:
		return nil
	case f.what == failDelay:
		time.Sleep(sickDelay) //nolint:forbidigo // fake time
		return nil
	case f.what == failENOSPC:
		return syscall.ENOSPC
	case f.what == failShort:
		return torn{syscall.EIO}
	default:
		return syscall.EIO
	}
}

func (f *sickFS) wasHit() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.hit
}

// whole runs an operation that is done or not done: a torn one is done and
// fails all the same.
func (f *sickFS) whole(op Op, method, path string, run func() error) error {
	err := f.step(op, method, path)
	if _, half := errors.AsType[torn](err); err == nil || half {
		if rerr := run(); rerr != nil {
			return rerr
		}
	}
	return err
}

func (f *sickFS) Mkdir(op Op, path string) error {
	return f.whole(op, "mkdir", path, func() error { return f.OS.Mkdir(op, path) })
}

func (f *sickFS) Open(op Op, path string, flag int) (*os.File, error) {
	if err := f.step(op, "open", path); err != nil {
		return nil, err
	}
	file, err := f.OS.Open(op, path, flag)
	if err == nil {
		f.books.opened(path, file)
	}
	return file, err
}

func (f *sickFS) Memory(op Op, name string) (*os.File, error) {
	if err := f.step(op, "memory", name); err != nil {
		return nil, err
	}
	return f.OS.Memory(op, name)
}

func (f *sickFS) Write(op Op, file *os.File, off int64, bufs ...[]byte) error {
	err := f.step(op, "write", file.Name())
	if _, half := errors.AsType[torn](err); half {
		var all []byte
		for _, b := range bufs {
			all = append(all, b...)
		}
		bufs = [][]byte{all[:len(all)/2]}
	} else if err != nil {
		return err
	}
	if rerr := f.OS.Write(op, file, off, bufs...); rerr != nil {
		return rerr
	}
	f.books.wrote(file, off, bufs)
	return err
}

func (f *sickFS) Read(op Op, file *os.File, off int64, p []byte) (int, error) {
	err := f.step(op, "read", file.Name())
	if _, half := errors.AsType[torn](err); half {
		n, _ := f.OS.Read(op, file, off, p[:len(p)/2])
		return n, io.ErrUnexpectedEOF
	} else if err != nil {
		return 0, err
	}
	return f.faultFS.Read(op, file, off, p)
}

func (f *sickFS) Truncate(op Op, file *os.File, size int64) error {
	return f.whole(op, "truncate", file.Name(), func() error { return f.OS.Truncate(op, file, size) })
}

func (f *sickFS) Rename(op Op, from, to string) error {
	return f.whole(op, "rename", to, func() error {
		return f.books.named(to, func() error { return f.OS.Rename(op, from, to) })
	})
}

func (f *sickFS) Remove(op Op, path string) error {
	return f.whole(op, "remove", path, func() error {
		return f.books.named(path, func() error { return f.OS.Remove(op, path) })
	})
}

func (f *sickFS) List(op Op, dir string, yield func(Info) bool) error {
	err := f.step(op, "list", dir)
	if _, half := errors.AsType[torn](err); half {
		n := 0
		_ = f.OS.List(op, dir, func(Info) bool { n++; return true })
		_ = f.OS.List(op, dir, func(i Info) bool { n -= 2; return n >= 0 && yield(i) })
		return err
	} else if err != nil {
		return err
	}
	return f.OS.List(op, dir, yield)
}

func (f *sickFS) Stat(op Op, file *os.File) (Info, error) {
	if err := f.step(op, "stat", file.Name()); err != nil {
		return Info{}, err
	}
	return f.OS.Stat(op, file)
}

func (f *sickFS) Touch(op Op, path string, t time.Time) error {
	return f.whole(op, "touch", path, func() error { return f.OS.Touch(op, path, t) })
}

// Space says that the drive is full where it is to fail with ENOSPC.
func (f *sickFS) Space(op Op, path string) (Space, error) {
	err := f.step(op, "space", path)
	sp, rerr := f.OS.Space(op, path)
	if err == syscall.ENOSPC {
		sp.Free = 0
		return sp, rerr
	}
	if err != nil {
		return Space{}, err
	}
	return sp, rerr
}

func (f *sickFS) Resident(file *os.File, off, n int64) bool {
	return f.step(OpVerify, "resident", file.Name()) == nil && f.faultFS.Resident(file, off, n)
}

// report says what is aimed at.
func (f *sickFS) report() string {
	return fmt.Sprintf("%s of %s number %d (met: %v)", f.what, f.aim, f.nth, f.wasHit())
}
