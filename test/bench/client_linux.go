package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"

	"golang.org/x/sys/unix"
)

// client is one connection that asks for ranges and throws bodies away inside
// the kernel.
type client struct {
	conn *net.TCPConn
	raw  rawReader
	head [4096]byte
}

type rawReader interface {
	Read(f func(fd uintptr) (done bool)) error
}

func dial(addr string) (*client, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	tcp := conn.(*net.TCPConn)
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &client{conn: tcp, raw: raw}, nil
}

// get sends request and takes the whole answer, which must have the status and
// a body of n bytes.
func (c *client) get(request []byte, status string, n int64) error {
	if _, err := c.conn.Write(request); err != nil {
		return err
	}
	got, end := 0, -1
	for end < 0 {
		m, err := c.conn.Read(c.head[got:])
		if err != nil {
			return err
		}
		got += m
		end = bytes.Index(c.head[:got], []byte("\r\n\r\n"))
		if end < 0 && got == len(c.head) {
			return errors.New("head is too long")
		}
	}
	head := c.head[:end+4]
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 "+status)) {
		return fmt.Errorf("not %s: %q", status, head)
	}
	if length, err := contentLength(head); err != nil || length != n {
		return fmt.Errorf("Content-Length %d, not %d: %w", length, n, err)
	}
	return c.discard(n - int64(got-end-4))
}

func contentLength(head []byte) (int64, error) {
	const name = "\r\ncontent-length: "
	at := bytes.Index(bytes.ToLower(head), []byte(name))
	if at < 0 {
		return 0, errors.New("no Content-Length")
	}
	value, _, _ := bytes.Cut(head[at+len(name):], []byte("\r\n"))
	return strconv.ParseInt(string(value), 10, 64)
}

// discard takes n bytes without copying them (tcp(7): MSG_TRUNC).
func (c *client) discard(n int64) error {
	for n > 0 {
		var got uintptr
		var errno unix.Errno
		err := c.raw.Read(func(fd uintptr) bool {
			got, _, errno = unix.Syscall6(unix.SYS_RECVFROM, fd, 0, uintptr(min(n, 1<<20)), unix.MSG_TRUNC, 0, 0)
			return errno != unix.EAGAIN && errno != unix.EINTR
		})
		switch {
		case err != nil:
			return err
		case errno != 0:
			return errno
		case got == 0:
			return io.ErrUnexpectedEOF
		}
		n -= int64(got)
	}
	return nil
}
