package gateway

import (
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/mccd/mccd/storage"
)

// restAfter is how long a client may take nothing, or less than connLimits ask
// for, before the run that is being sent to it is let go of: it holds a socket
// then, and no chunk.
const restAfter = time.Second

// connLimits closes clients that take too little: fewer than bytes within
// window, while bytes wait for them.
type connLimits struct {
	window time.Duration
	bytes  int64
}

// conn is a client's connection under http1 or net/http. On Linux its ReadFrom sends a
// run by sendfile with an explicit offset, and its Write holds a head back for
// the body that follows at once. Writes come from one goroutine at a time.
type conn struct {
	net.Conn
	bound  *connBound
	closed atomic.Bool
	limits connLimits
	// client is who asks: the other end, or who a balancer says it is once its
	// introduction has been read. It is there before the first request is.
	client netip.Addr
	// introduction is what the connection has to begin with; nil: nothing.
	introduction *introductions
	broken       error // why nothing can be read; nil: it can
	// ahead was read by who had the connection before, and comes first.
	ahead []byte
	// screen is what net/http reads through; nil: http1 reads.
	screen *screen
	// raw is nil where the connection cannot send runs (not TCP).
	raw syscall.RawConn
	// corked makes the next Write a part of the body's first segment.
	corked bool
	tx     transfer
	rx     receipt
	reader runReader // the run that the response under way is sending
	ready  ready     // of the object that was sent last
	head   []byte    // the fields of the head under way

	pipe      *pipe                // between TLS and this; nil of plain connections
	tls       *tls.ConnectionState // once hands are shaken
	discarded atomic.Bool          // its end is not to look like one
}

func newConn(c net.Conn, bound *connBound, limits connLimits, in *introductions) *conn {
	cc := &conn{Conn: c, bound: bound, limits: limits, client: addrOf(c.RemoteAddr())}
	if in != nil && in.from(cc.client) {
		cc.introduction = in
	}
	if t, ok := c.(*net.TCPConn); ok {
		if raw, err := t.SyscallConn(); err == nil {
			cc.raw = raw
			cc.prepare()
		}
	}
	return cc
}

// Read reads what the client sent.
func (c *conn) Read(p []byte) (int, error) {
	if c.introduction != nil || c.broken != nil {
		if c.broken != nil {
			return 0, c.broken
		}
		if err := c.introduced(); err != nil {
			return 0, err
		}
	}
	if c.screen != nil {
		return c.screen.read(p, c.take)
	}
	return c.take(p)
}

// take reads what came, first what was read before.
func (c *conn) take(p []byte) (int, error) {
	if len(c.ahead) > 0 {
		n := copy(p, c.ahead)
		if c.ahead = c.ahead[n:]; len(c.ahead) == 0 {
			c.ahead = nil
		}
		return n, nil
	}
	return c.receive(p)
}

// Close closes the connection and gives its place back.
func (c *conn) Close() error {
	if c.closed.CompareAndSwap(false, true) {
		c.bound.give()
	}
	return c.Conn.Close()
}

// cork holds back what is written next for the body that follows at once.
func (c *conn) cork() {
	if c.pipe != nil {
		c.pipe.hold()
		return
	}
	c.corked = true
}

// direct reports whether a run may be given to ReadFrom as it is.
func (c *conn) direct() bool { return c.pipe != nil || c.canSendfile() }

// discard makes Close a reset and drops what the client has not taken: megabytes
// of the system's memory that would else wait for it for many minutes.
func (c *conn) discard() {
	c.discarded.Store(true)
	if t, ok := c.Conn.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
}

// CloseWrite lets net/http end an answer before it closes.
func (c *conn) CloseWrite() error {
	if t, ok := c.Conn.(*net.TCPConn); ok {
		return t.CloseWrite()
	}
	return nil
}

// ReadFrom sends all of src: a *runReader by sendfile where the system can,
// everything else through a buffer.
func (c *conn) ReadFrom(src io.Reader) (int64, error) {
	if r, ok := src.(*runReader); ok && c.canSendfile() {
		return c.sendRun(r)
	}
	return io.Copy(writerOnly{c}, src)
}

// writerOnly hides ReadFrom from io.Copy.
type writerOnly struct{ io.Writer }

// rester is a Content that can let go of what its last run holds.
type rester interface{ Rest() }

// runReader reads a run by pread; conn takes it apart instead where it can use
// sendfile. It is used by one goroutine.
type runReader struct {
	storage.Run
	// from, if not nil, is told to rest when the client takes nothing for
	// restAfter; rested tells that it was: the rest of the run is not sent.
	from   rester
	rested bool
}

// Read reads from the run's file at the run's own offset.
func (r *runReader) Read(p []byte) (int, error) {
	if r.Len <= 0 {
		return 0, io.EOF
	}
	n, err := r.File.ReadAt(p[:min(int64(len(p)), r.Len)], r.Off)
	r.Off += int64(n)
	r.Len -= int64(n)
	if err == io.EOF && r.Len > 0 {
		err = io.ErrUnexpectedEOF // the file is shorter than its run
	}
	if n > 0 && r.Len == 0 {
		err = nil
	}
	return n, err
}
