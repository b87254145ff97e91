package disk

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

const maxPieces = 1024 // IOV_MAX

// writeAll writes bufs at off with as few calls as the kernel allows, copying
// nothing.
func writeAll(f *os.File, off int64, bufs [][]byte) error {
	defer runtime.KeepAlive(f)
	fd := int(f.Fd())
	var local [16][]byte
	rest := append(local[:0], bufs...)
	for len(rest) > 0 {
		if len(rest[0]) == 0 {
			rest = rest[1:]
			continue
		}
		n, err := unix.Pwritev(fd, rest[:min(len(rest), maxPieces)], off)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return &fs.PathError{Op: "pwritev", Path: f.Name(), Err: err}
		}
		if n == 0 {
			return &fs.PathError{Op: "pwritev", Path: f.Name(), Err: io.ErrShortWrite}
		}
		off += int64(n)
		for n > 0 {
			k := min(n, len(rest[0]))
			rest[0] = rest[0][k:]
			n -= k
			if len(rest[0]) == 0 {
				rest = rest[1:]
			}
		}
	}
	return nil
}

// openChunk opens a file whose reads leave no time of access, where the file is
// ours. That time would have to be written, and a read whose pages are in memory
// would wait for the drive's journal.
func openChunk(path string, flag int) (*os.File, error) {
	f, err := os.OpenFile(path, flag|unix.O_NOATIME, 0o600)
	if errors.Is(err, unix.EPERM) {
		return os.OpenFile(path, flag, 0o600)
	}
	return f, err
}

// adviseRandom turns read-ahead off for f.
func adviseRandom(f *os.File) {
	_ = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_RANDOM)
	runtime.KeepAlive(f)
}

// forget drops clean pages of f from the page cache.
func forget(f *os.File, off, n int64) {
	_ = unix.Fadvise(int(f.Fd()), off, n, unix.FADV_DONTNEED)
	runtime.KeepAlive(f)
}

func memoryFile(name string) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, &fs.PathError{Op: "memfd_create", Path: name, Err: err}
	}
	return os.NewFile(uintptr(fd), "memfd:"+name), nil
}

// resident asks by cachestat(2), and by mincore(2) where the kernel (before
// 6.5) or a sandbox does not have it; when neither answers it says no, and
// every read is verified.
func resident(f *os.File, off, n int64) bool {
	defer runtime.KeepAlive(f)
	page := int64(os.Getpagesize())
	first := off / page * page
	pages := (off + n - first + page - 1) / page
	var stat unix.Cachestat_t
	err := cachestatCall(f.Fd(), &unix.CachestatRange{Off: uint64(first), Len: uint64(pages * page)}, &stat)
	if err == nil {
		return int64(stat.Cache) >= pages
	}
	return mincore(int(f.Fd()), first, pages, page)
}

func mincore(fd int, off, pages, page int64) bool {
	m, err := unix.Mmap(fd, off, int(pages*page), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return false
	}
	defer func() { _ = unix.Munmap(m) }()
	vec := make([]byte, pages)
	if err := mincoreCall(m, vec); err != nil {
		return false
	}
	for _, v := range vec {
		if v&1 == 0 {
			return false
		}
	}
	return true
}

func spaceAt(path string) (Space, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return Space{}, &fs.PathError{Op: "statfs", Path: path, Err: err}
	}
	unit := int64(st.Bsize) //nolint:unconvert // int32 on some architectures
	return Space{
		Total: int64(st.Blocks) * unit, Free: int64(st.Bavail) * unit,
		Inodes: int64(st.Files), FreeInodes: int64(st.Ffree),
	}, nil
}

func infoOf(fi fs.FileInfo) Info {
	info := Info{Name: fi.Name(), Dir: fi.IsDir(), Bytes: fi.Size(), Size: fi.Size(), Used: fi.ModTime()}
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		info.Bytes = st.Blocks * 512
	}
	return info
}
