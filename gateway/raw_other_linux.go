//go:build linux && !amd64 && !arm64

package gateway

import "golang.org/x/sys/unix"

func rawRead(fd uintptr, p []byte) (int, error) { return unix.Read(int(fd), p) }

func rawSend(fd uintptr, p []byte, flags int) (int, error) {
	return unix.SendmsgN(int(fd), p, nil, nil, flags)
}

func rawSendfile(fd uintptr, file int, off *int64, n int64) (int, error) {
	return unix.Sendfile(int(fd), file, off, int(n))
}
