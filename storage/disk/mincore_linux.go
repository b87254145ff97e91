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
