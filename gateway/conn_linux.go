package gateway

import (
	"errors"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mccd/mccd/storage"
)

// maxSendfile bounds one system call, so that a fast client cannot keep a
// thread for the whole of a large run; maxRaw bounds one that keeps a processor.
const (
	maxSendfile = 4 << 20
	maxRaw      = 1 << 20
	briefRun    = 128 << 10 // mostly goes out in one call
)

// freshFor is how long after the source has seen a run in memory it is taken to
// be there still. If it is not, the processor waits for the drive.
const freshFor = 20 * time.Millisecond

// transfer is the state of the write in progress. It lives in its conn, so
// that a write allocates nothing.
type transfer struct {
	buf   []byte // what Write has still to send
	flags int

	file int // the descriptor, offset and rest of the run being sent
	off  int64
	left int64
	// first: nothing was tried yet, and the source has just seen the run's
	// bytes in memory, at seen; that is not noted of brief runs.
	first bool
	seen  time.Time
	// held: the head before this run waited for its client.
	held bool

	sent int64 // since the transfer began
	err  error

	watched bool  // a window of connLimits is open: the write deadline is ours
	taken   int64 // bytes that the client had taken when the window opened
	least   int64 // how many it has to take within the window
	waited  bool  // the socket was full

	// restful: what is being sent may be let go of when the client takes
	// nothing.
	restful bool

	write, sendfile, room func(fd uintptr) bool // bound once
}

// errRest ends a transfer whose client takes too little to hold a run.
var errRest = errors.New("the client takes nothing")

// receipt is the state of the read in progress. Reads come from one goroutine
// at a time.
type receipt struct {
	in   []byte
	got  int
	err  error
	step func(fd uintptr) bool // bound once
}

func (c *conn) prepare() {
	c.tx.write, c.tx.sendfile, c.tx.room, c.rx.step = c.stepWrite, c.stepSendfile, c.stepRoom, c.stepRead
}

func (c *conn) canSendfile() bool { return c.raw != nil }

// receive reads what the client has sent, and waits for it.
func (c *conn) receive(p []byte) (int, error) {
	if c.raw == nil || len(p) == 0 {
		return c.Conn.Read(p)
	}
	c.rx.in, c.rx.got, c.rx.err = p, 0, nil
	err := c.raw.Read(c.rx.step)
	c.rx.in = nil
	switch {
	case c.rx.err != nil:
		return 0, &net.OpError{Op: "read", Net: "tcp", Addr: c.RemoteAddr(), Err: os.NewSyscallError("recvfrom", c.rx.err)}
	case err != nil:
		return 0, err
	case c.rx.got == 0:
		return 0, io.EOF
	default:
		return c.rx.got, nil
	}
}

func (c *conn) stepRead(fd uintptr) bool {
	r := &c.rx
	for {
		n, err := rawRead(fd, r.in)
		switch err {
		case nil:
			r.got = n
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			return false
		default:
			r.err = err
		}
		return true
	}
}

// Write sends p. After cork its bytes wait for the body's first ones.
func (c *conn) Write(p []byte) (int, error) {
	if c.raw == nil {
		return c.Conn.Write(p)
	}
	c.tx.buf, c.tx.flags = p, unix.MSG_NOSIGNAL
	if c.corked {
		c.tx.flags |= unix.MSG_MORE
		c.corked = false
	}
	err := c.pump(c.tx.write)
	c.tx.buf, c.tx.held = nil, c.tx.waited
	return int(c.tx.sent), err
}

// sendRun sends r by sendfile. An error after the first byte leaves the
// connection unusable.
func (c *conn) sendRun(r *runReader) (int64, error) {
	// A regular file's descriptor stays as it is: Fd makes only pollable files
	// blocking. The run keeps it open.
	c.tx.file, c.tx.off, c.tx.left = int(r.File.Fd()), r.Off, r.Len
	// A chunk that is being filled may be locked by its writer.
	c.tx.first, c.tx.seen = r.From == storage.SourceDisk && !c.tx.held, time.Time{}
	if c.tx.held = false; c.tx.first && r.Len > briefRun {
		c.tx.seen = time.Now()
	}
	c.tx.restful = r.from != nil
	err := c.pump(c.tx.sendfile)
	c.tx.restful = false
	sent := c.tx.sent
	if err == errRest { //nolint:errorlint // it is ours, and never wrapped
		r.from.Rest()
		r.rested = true
		err = c.pump(c.tx.room)
	}
	r.Off += sent
	r.Len -= sent
	if sent == 0 && unsupported(err) {
		return io.Copy(writerOnly{c}, r)
	}
	return sent, err
}

func unsupported(err error) bool {
	return errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EOPNOTSUPP)
}

// pump runs step whenever the socket takes bytes, until it is done, fails, or
// the client takes too little.
func (c *conn) pump(step func(uintptr) bool) error {
	t := &c.tx
	t.sent, t.err, t.watched, t.waited = 0, nil, false, false
	for {
		err := c.raw.Write(step)
		if !t.watched {
			return firstError(t.err, err)
		}
		expired := errors.Is(err, os.ErrDeadlineExceeded)
		enough := expired && c.takenNow()-t.taken >= t.least
		t.watched = false
		if clearErr := c.SetWriteDeadline(time.Time{}); clearErr != nil {
			return firstError(t.err, err, clearErr)
		}
		if !enough {
			if expired && t.restful {
				return errRest
			}
			if expired {
				c.discard()
			}
			return firstError(t.err, err)
		}
	}
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *conn) stepWrite(fd uintptr) bool {
	t := &c.tx
	for len(t.buf) > 0 {
		n, err := rawSend(fd, t.buf, t.flags)
		if n > 0 {
			t.buf = t.buf[n:]
			t.sent += int64(n)
		}
		if err != nil && !c.again(fd, err) {
			return t.err != nil
		}
	}
	return true
}

func (c *conn) stepSendfile(fd uintptr) bool {
	t := &c.tx
	for t.left > 0 {
		n, err := c.sendfile(fd)
		if n > 0 {
			t.left -= int64(n)
			t.sent += int64(n)
		}
		if err == nil && n == 0 {
			t.err = io.ErrUnexpectedEOF // the file is shorter than its run
			return true
		}
		if err != nil && !c.again(fd, err) {
			return t.err != nil
		}
	}
	return true
}

// sendfile sends what the socket takes of the run. Some time after they were
// seen the run's bytes may have left memory, and the call may wait for the drive.
func (c *conn) sendfile(fd uintptr) (int, error) {
	t := &c.tx
	if t.first || !t.seen.IsZero() && time.Since(t.seen) < freshFor {
		t.first = false
		return rawSendfile(fd, t.file, &t.off, min(t.left, maxRaw))
	}
	return unix.Sendfile(int(fd), t.file, &t.off, int(min(t.left, maxSendfile)))
}

// stepRoom waits until the socket takes bytes.
func (c *conn) stepRoom(fd uintptr) bool {
	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
	if n, err := unix.Poll(poll, 0); n > 0 || err != nil && err != unix.EINTR {
		return true // an error shows at the next write
	}
	return c.again(fd, unix.EAGAIN)
}

// again reports whether the step may call the system again at once. If not,
// either t.err is set or the socket is full and a window has been opened.
func (c *conn) again(fd uintptr, err error) bool {
	t := &c.tx
	switch err {
	case unix.EINTR:
		return true
	case unix.EAGAIN:
		if !t.watched {
			t.watched, t.waited = true, true
			t.taken = t.sent - queued(fd)
			wait := c.limits.window
			t.least = c.limits.bytes
			if t.restful && restAfter < wait { // as much for its part of the window
				t.least = max(1, int64(float64(t.least)*restAfter.Seconds()/wait.Seconds()))
				wait = restAfter
			}
			t.err = c.SetWriteDeadline(time.Now().Add(wait))
		}
	default:
		t.err = err
	}
	return false
}

// takenNow returns how many of the transfer's bytes the client's system has
// acknowledged. A socket becomes writable only when a third of its buffer is
// free, so a slow client shows progress here long before.
func (c *conn) takenNow() int64 {
	var n int64
	if err := c.raw.Control(func(fd uintptr) { n = c.tx.sent - queued(fd) }); err != nil {
		return c.tx.taken
	}
	return n
}

func queued(fd uintptr) int64 {
	n, err := unix.IoctlGetInt(int(fd), unix.SIOCOUTQ)
	if err != nil {
		return 0
	}
	return int64(n)
}
