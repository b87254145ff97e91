package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Client is one connection that sends one request after another.
type Client struct {
	conn *net.TCPConn
	raw  syscall.RawConn
	head [8192]byte
}

// Times tell when the parts of an answer came, counted from its request.
type Times struct {
	// Head and First are when the first byte of the head and of the body came,
	// Last when the body was complete.
	Head, First, Last time.Duration
	// Gap is the longest time between two arrivals of bytes of the body.
	Gap time.Duration
}

// Dial connects to addr.
func Dial(ctx context.Context, addr string) (*Client, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	tcp := conn.(*net.TCPConn)
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &Client{conn: tcp, raw: raw}, nil
}

// Close ends the connection, and a request that waits on it.
func (c *Client) Close() { _ = c.conn.Close() }

// Request returns the head of a GET as a Windows client writes it, for the
// bytes of [off, off+n), or for all where n is 0.
func Request(target, host string, off, n int64) []byte {
	text := "GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\nUser-Agent: Microsoft-Delivery-Optimization/10.1\r\n"
	if n > 0 {
		text += fmt.Sprintf("Range: bytes=%d-%d\r\n", off, off+n-1)
	}
	return []byte(text + "\r\n")
}

// Get sends request and discards the answer, which must have the status and a
// body of n bytes. moved, which may be nil, is told of bytes as they come.
func (c *Client) Get(request []byte, status string, n int64, moved func(int64)) error {
	body, _, err := c.ask(request, status, n)
	if err != nil {
		return err
	}
	if moved == nil {
		moved = func(int64) {}
	}
	moved(int64(len(body)))
	return c.discard(n-int64(len(body)), moved)
}

// Read is Get that gives all bytes to see, in order, and says when they came.
// It fails with what see returns.
func (c *Client) Read(request []byte, status string, n int64, see func(p []byte) error) (Times, error) {
	begun := time.Now()
	body, head, err := c.ask(request, status, n)
	if err != nil {
		return Times{}, err
	}
	times := Times{Head: head.Sub(begun)}
	buf := make([]byte, 256<<10)
	var last time.Time
	for {
		if len(body) > 0 {
			now := time.Now()
			if times.First == 0 {
				times.First = now.Sub(begun)
			} else {
				times.Gap = max(times.Gap, now.Sub(last))
			}
			last, times.Last = now, now.Sub(begun)
			n -= int64(len(body))
			if err := see(body); err != nil {
				return times, err
			}
		}
		if n == 0 {
			return times, nil
		}
		got, err := c.conn.Read(buf[:min(n, int64(len(buf)))])
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return times, err
		}
		body = buf[:got]
	}
}

// ask sends request, reads the head of the answer and returns the part of the
// body that came with it, valid until the next call, and when the first byte
// came.
func (c *Client) ask(request []byte, status string, n int64) (body []byte, first time.Time, err error) {
	if _, err := c.conn.Write(request); err != nil {
		return nil, first, err
	}
	got, end := 0, -1
	for end < 0 {
		m, err := c.conn.Read(c.head[got:])
		if err != nil {
			return nil, first, err
		}
		if first.IsZero() {
			first = time.Now()
		}
		got += m
		end = bytes.Index(c.head[:got], []byte("\r\n\r\n"))
		if end < 0 && got == len(c.head) {
			return nil, first, errors.New("head is too long")
		}
	}
	head := c.head[:end+4]
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 "+status)) {
		return nil, first, fmt.Errorf("not %s: %q", status, head)
	}
	if length, err := contentLength(head); err != nil {
		return nil, first, err
	} else if length != n {
		return nil, first, fmt.Errorf("Content-Length %d, not %d", length, n)
	}
	body = c.head[end+4 : got]
	if int64(len(body)) > n {
		return nil, first, fmt.Errorf("%d bytes follow the body", int64(len(body))-n)
	}
	return body, first, nil
}

func contentLength(head []byte) (int64, error) {
	const name = "\r\ncontent-length:"
	at := bytes.Index(bytes.ToLower(head), []byte(name))
	if at < 0 {
		return 0, errors.New("no Content-Length")
	}
	value, _, _ := bytes.Cut(head[at+len(name):], []byte("\r\n"))
	return strconv.ParseInt(string(bytes.TrimSpace(value)), 10, 64)
}

// discard takes n bytes without copying them (tcp(7): MSG_TRUNC).
func (c *Client) discard(n int64, moved func(int64)) error {
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
		moved(int64(got))
	}
	return nil
}
