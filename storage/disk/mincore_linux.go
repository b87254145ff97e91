package disk

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// mincoreCall fills vec with one byte per page of m; x/sys/unix has no wrapper.
func mincoreCall(m, vec []byte) error {
	_, _, errno := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(unsafe.SliceData(m))), uintptr(len(m)),
		uintptr(unsafe.Pointer(unsafe.SliceData(vec))))
	if errno != 0 {
		return errno
	}
	return nil
}

// cachestatCall is cachestat(2) without telling Go's scheduler of a system
// call: it never waits, and is made for every request.
func cachestatCall(fd uintptr, span *unix.CachestatRange, stat *unix.Cachestat_t) error {
	_, _, errno := unix.RawSyscall6(unix.SYS_CACHESTAT, fd, uintptr(unsafe.Pointer(span)), uintptr(unsafe.Pointer(stat)), 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
