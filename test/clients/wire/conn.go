package wire

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

// The ways in which a connection fails its user.
var (
	// ErrRefused: the address could not be connected to.
	ErrRefused = errors.New("connection refused")
	// ErrConnect: no connection in time.
	ErrConnect = errors.New("no connection in time")
	// ErrSlow: fewer bytes than Pace asks for, for too long.
	ErrSlow = errors.New("too slow for too long")
	// ErrNoAnswer: the connection ended before the first byte of an answer.
	ErrNoAnswer = errors.New("closed without an answer")
)

// Pace is the least that a transfer may bring: Rate bytes/s, or it is given up
// after For of less, the wait for the first byte included. Zero = no bound.
type Pace struct {
	Rate int64
	For  time.Duration
}

// parts is in how many parts of Pace.For the bytes are counted.
const parts = 20

// Conn is one connection. It is used by one goroutine; the context with which
// it was dialled ends it.
type Conn struct {
	// Addr is whom it leads to.
	Addr string

	raw     net.Conn
	release func() bool
	in      *bufio.Reader
	pace    Pace

	// Of the present request: bytes in the present part, when that ends, how
	// long it has been too slow, and all bytes.
	part, all int64
	ends      time.Time
	slow      time.Duration
}

// Dial connects to addr within timeout. Its errors are ErrRefused and ErrConnect.
func Dial(ctx context.Context, addr string, timeout time.Duration, pace Pace) (*Conn, error) {
	dialer := net.Dialer{Timeout: timeout}
	raw, err := dialer.DialContext(ctx, "tcp", addr)
	var netErr net.Error
	switch {
	case err == nil:
	case errors.As(err, &netErr) && netErr.Timeout():
		return nil, fmt.Errorf("%w: %w", ErrConnect, err)
	default:
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	c := &Conn{Addr: addr, raw: raw, pace: pace}
	c.release = context.AfterFunc(ctx, func() { _ = raw.Close() })
	c.in = bufio.NewReaderSize(c, 64<<10)
	return c, nil
}

// Close closes the connection.
func (c *Conn) Close() {
	c.release()
	_ = c.raw.Close()
}

// Send writes the text of a request and begins the count of its answer.
func (c *Conn) Send(text string) error {
	c.part, c.all, c.slow = 0, 0, 0
	c.ends = time.Now().Add(c.pace.For / parts)
	_ = c.raw.SetWriteDeadline(time.Now().Add(20 * time.Second))
	_, err := c.raw.Write([]byte(text))
	return err
}

// Read reads from the connection, under Pace.
func (c *Conn) Read(p []byte) (int, error) {
	if c.pace.For > 0 && !time.Now().Before(c.ends) && c.count() {
		return 0, ErrSlow
	}
	for {
		if c.pace.For > 0 {
			_ = c.raw.SetReadDeadline(c.ends)
		}
		n, err := c.raw.Read(p)
		c.part += int64(n)
		c.all += int64(n)
		if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		if c.count() {
			return 0, ErrSlow
		}
	}
}

// count ends a part and reports whether it was the last that is waited for. The
// next one begins now, so that a client that was itself held up blames nobody.
func (c *Conn) count() bool {
	length := c.pace.For / parts
	if float64(c.part) < float64(c.pace.Rate)*length.Seconds() {
		c.slow += length
	} else {
		c.slow = 0
	}
	c.part, c.ends = 0, time.Now().Add(length)
	return c.slow >= c.pace.For
}
