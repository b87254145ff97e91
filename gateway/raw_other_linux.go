//go:build linux && (race || (!amd64 && !arm64))

package gateway

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// rawRead is package syscall's, which tells the race detector what comes after
// what.
func rawRead(fd uintptr, p []byte) (int, error) { return syscall.Read(int(fd), p) }

func rawSend(fd uintptr, p []byte, flags int) (int, error) {
	return unix.SendmsgN(int(fd), p, nil, nil, flags)
}

func rawSendfile(fd uintptr, file int, off *int64, n int64) (int, error) {
	return unix.Sendfile(int(fd), file, off, int(n))
}
