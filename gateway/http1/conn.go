package http1

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"sync/atomic"
	"time"
)

// The states of a conn.
const (
	stateNew    uint32 = iota // no byte of a request has come yet
	stateActive               // a request is being read or answered
	stateIdle                 // the next request is waited for
	stateClosed               // closed by another goroutine
)

// firstBuffer is the length of a connection's read buffer, until a head needs
// more.
const firstBuffer = 2 << 10

// newGrace is how long a connection that never sent a byte is waited for while
// the server drains: a client that has just come gets its answer.
const newGrace = time.Second

// conn is one connection. All but state is its goroutine's own.
type conn struct {
	s     *Server
	rwc   net.Conn
	state atomic.Uint32

	buf    []byte
	lo, hi int // what was read and not yet used
	// armed is the read deadline that is set; zero = none.
	armed time.Time

	ctx    context.Context      // the connection's
	tls    *tls.ConnectionState // nil of plain connections
	wait   *waiting             // the context of req
	req    *http.Request
	url    url.URL
	values lines
	res    response
}

func newConn(ctx context.Context, s *Server, rwc net.Conn) *conn {
	if s.cfg.ConnContext != nil {
		ctx = s.cfg.ConnContext(ctx, rwc)
	}
	c := &conn{s: s, rwc: rwc, ctx: ctx}
	c.res.c, c.res.header = c, http.Header{}
	c.renewRequest()
	return c
}

// renewRequest makes a request with a context that nobody has asked yet.
func (c *conn) renewRequest() {
	c.wait = &waiting{c: c, parent: c.ctx}
	r := &http.Request{
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Body: http.NoBody, Header: http.Header{},
		RemoteAddr: c.rwc.RemoteAddr().String(), URL: &c.url, TLS: c.tls,
	}
	c.req = r.WithContext(c.wait)
	c.req.URL = &c.url
}

// drain is called by other goroutines.
func (c *conn) drain() {
	switch {
	case c.state.CompareAndSwap(stateIdle, stateClosed):
		_ = c.rwc.Close()
	case c.state.Load() == stateNew:
		_ = c.rwc.SetReadDeadline(time.Now().Add(newGrace))
	}
}

// cut is called by other goroutines.
func (c *conn) cut() {
	c.state.Store(stateClosed)
	_ = c.rwc.Close()
}

func (c *conn) serve() {
	defer c.s.running.Done()
	handed := false
	defer func() {
		if fault := recover(); fault != nil && fault != http.ErrAbortHandler { //nolint:errorlint // as net/http compares
			stack := make([]byte, 64<<10)
			stack = stack[:runtime.Stack(stack, false)]
			c.s.cfg.Logger.Error("http server: panic", "client", c.req.RemoteAddr, "fault", fault, "stack", string(stack))
		}
		c.wait.end()
		c.res.release()
		c.s.forget(c)
		if !handed {
			_ = c.rwc.Close()
		}
	}()
	if s, ok := c.rwc.(shaker); ok {
		if !c.shake(s) {
			return
		}
		if c.tls.NegotiatedProtocol == "h2" {
			handed = true
			_ = c.rwc.SetReadDeadline(time.Time{})
			c.s.cfg.HandOver(c.rwc, nil)
			return
		}
	}
	for {
		n, odd := c.readHead()
		if n == 0 && !odd {
			return
		}
		if !odd {
			clear(c.req.Header)
			odd = !parse(string(c.buf[c.lo:c.lo+n]), c.req, &c.values)
		}
		if odd {
			handed = true
			_ = c.rwc.SetReadDeadline(time.Time{})
			c.s.cfg.HandOver(c.rwc, c.buf[c.lo:c.hi])
			return
		}
		c.lo += n
		if !c.answer() || !c.rest() {
			return
		}
	}
}

// shaker is a connection under TLS.
type shaker interface {
	Handshake() error
	ConnectionState() tls.ConnectionState
}

// shake shakes hands within the time for a head.
func (c *conn) shake(s shaker) bool {
	c.arm(time.Now().Add(c.s.cfg.ReadHeader))
	if err := s.Handshake(); err != nil {
		c.s.cfg.Logger.Debug("http server: TLS handshake", "client", c.req.RemoteAddr, "error", err)
		return false
	}
	state := s.ConnectionState()
	c.tls, c.req.TLS = &state, &state
	return true
}

// answer has the request answered and reports whether another may follow.
func (c *conn) answer() bool {
	c.res.reset()
	c.wait.begin()
	c.s.cfg.Handler.ServeHTTP(&c.res, c.req)
	keep := c.res.finish()
	if c.wait.end() {
		c.renewRequest()
	}
	return keep && !c.s.draining.Load()
}

// rest begins the wait for the next request.
func (c *conn) rest() bool {
	if c.lo < c.hi {
		return true // it is here already
	}
	c.lo, c.hi = 0, 0
	c.state.Store(stateIdle)
	return !c.s.draining.Load()
}

// readHead reads until a whole head lies at the buffer's beginning and returns
// its length. 0 means that the connection is over, unless odd tells that it is
// net/http's.
func (c *conn) readHead() (n int, odd bool) {
	begun := c.state.Load() != stateIdle
	limit := c.s.cfg.ReadHeader
	if !begun {
		limit = c.s.cfg.Idle
	}
	end := time.Now().Add(limit)
	for seen := 0; ; {
		have := c.buf[c.lo:c.hi]
		if n, odd := headEnd(have, seen); n > 0 || odd {
			return n, odd
		}
		if seen = len(have); seen >= maxHead {
			return 0, true
		}
		if seen > 0 && !begun { // the head's time begins
			begun, end = true, time.Now().Add(c.s.cfg.ReadHeader)
		}
		if c.armed.IsZero() || c.armed.After(end) {
			c.arm(end)
		}
		c.room()
		m, err := c.rwc.Read(c.buf[c.hi:])
		c.hi += m
		switch {
		case m > 0:
			if !c.begin() {
				return 0, false
			}
		case errors.Is(err, os.ErrDeadlineExceeded):
			// Or was it the deadline of an earlier request?
			if !time.Now().Before(end) || c.s.draining.Load() && c.state.Load() == stateNew {
				return 0, false
			}
			c.arm(end)
		case errors.Is(err, io.EOF) && c.hi > c.lo:
			return 0, true // net/http knows what to say to half a head
		default:
			return 0, false
		}
	}
}

// begin leaves the wait for a request; false when the connection was closed
// meanwhile.
func (c *conn) begin() bool {
	return c.state.CompareAndSwap(stateIdle, stateActive) || c.state.CompareAndSwap(stateNew, stateActive) ||
		c.state.Load() == stateActive
}

// arm sets the read deadline.
func (c *conn) arm(end time.Time) {
	c.armed = end
	_ = c.rwc.SetReadDeadline(end) // where it fails, so does the read
	if c.s.draining.Load() && c.state.Load() == stateNew {
		_ = c.rwc.SetReadDeadline(time.Now().Add(newGrace))
	}
}

// room makes room for at least one more byte.
func (c *conn) room() {
	switch {
	case c.buf == nil:
		c.buf = make([]byte, firstBuffer)
	case c.hi < len(c.buf):
	case c.lo > 0:
		c.hi = copy(c.buf, c.buf[c.lo:c.hi])
		c.lo = 0
	default:
		c.buf = append(c.buf, make([]byte, len(c.buf))...)
	}
}

// unread puts a byte that came during an answer behind what was read.
func (c *conn) unread(b byte) {
	c.room()
	c.buf[c.hi] = b
	c.hi++
}
