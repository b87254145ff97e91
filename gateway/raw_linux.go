//go:build (amd64 || arm64) && !race

package gateway

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// The calls here do not tell Go's scheduler that they are system calls. It
// would take the processor away from the goroutine in the middle of one, start
// another thread, and poll every 20 µs for more to take: a seventh of all that
// a small answer costs. In return none of them may wait: sockets do not block,
// and a file's pages are known to be in memory.

// rawRead reads what has come.
func rawRead(fd uintptr, p []byte) (int, error) {
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)),
		unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// rawSend sends what the socket takes of p.
func rawSend(fd uintptr, p []byte, flags int) (int, error) {
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)),
		uintptr(flags|unix.MSG_DONTWAIT), 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// rawSendfile sends what the socket takes of n bytes of file at *off.
func rawSendfile(fd uintptr, file int, off *int64, n int64) (int, error) {
	sent, _, errno := unix.RawSyscall6(unix.SYS_SENDFILE, fd, uintptr(file), uintptr(unsafe.Pointer(off)), uintptr(n), 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(sent), nil
}
