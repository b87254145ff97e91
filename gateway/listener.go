package gateway

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// connKey is the context key of a request's *conn.
type connKey struct{}

// connBound counts the connections of all listeners against one limit.
type connBound struct {
	limit   int64
	open    atomic.Int64
	metrics *metrics
}

func (b *connBound) take() bool {
	if b.open.Add(1) > b.limit {
		b.open.Add(-1)
		return false
	}
	b.metrics.conns.Inc()
	return true
}

func (b *connBound) give() {
	b.open.Add(-1)
	b.metrics.conns.Dec()
}

// maxRefusals bounds the connections that are being told 503; more are closed
// without an answer, which costs a client no ban either.
const maxRefusals = 128

// listener hands out *conn and refuses what exceeds the bound or comes while
// the node drains.
type listener struct {
	net.Listener
	bound    *connBound
	draining atomic.Bool
	secrets  *secrets // nil: plain http
	parts    *parts
	metrics  *metrics
	limits   connLimits
	// introductions are what connections of balancers begin with.
	introductions *introductions
	refusals      chan struct{}  // one token per refusal in progress
	refusing      sync.WaitGroup // the goroutines of refuse; added to by Accept only
	closeOnce     sync.Once
	closeErr      error
}

func (g *Gateway) newListener(l net.Listener, bound *connBound, s *secrets) *listener {
	return &listener{
		Listener: l, bound: bound, secrets: s, parts: &g.parts, metrics: g.metrics,
		limits: connLimits{window: g.cfg.SlowWindow, bytes: g.cfg.SlowBytes}, introductions: g.introductions,
		refusals: make(chan struct{}, maxRefusals),
	}
}

// Accept returns the next connection within the bound. While the node drains
// there is none, but whoever comes gets an answer: Delivery Optimization Lite
// avoids a cache that refuses connections for 15 minutes, one that answers 503
// not at all (docs/clients.md section 5).
func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if !l.draining.Load() && l.bound.take() {
			cc := newConn(c, l.bound, l.limits, l.introductions)
			if l.secrets != nil {
				return newSecure(cc, l.secrets.config(), l.parts, l.metrics), nil
			}
			return cc, nil
		}
		l.bound.metrics.refused.Inc()
		select {
		case l.refusals <- struct{}{}:
			l.refusing.Go(func() { l.refuse(c) })
		default:
			_ = c.Close()
		}
	}
}

// Close closes the listener once.
func (l *listener) Close() error {
	l.closeOnce.Do(func() { l.closeErr = l.Listener.Close() })
	return l.closeErr
}

// wait returns when no refusal is in progress; Accept must have ended.
func (l *listener) wait() { l.refusing.Wait() }

// handed is the listener from which net/http takes what the loop of plain
// connections does not read itself.
type handed struct {
	addr      net.Addr
	conns     chan net.Conn
	closed    chan struct{}
	closeOnce sync.Once
}

func newHanded(addr net.Addr) *handed {
	return &handed{addr: addr, conns: make(chan net.Conn), closed: make(chan struct{})}
}

// take hands c over, with what was read of it.
func (h *handed) take(c net.Conn, ahead []byte) {
	switch cc := c.(type) {
	case *conn:
		cc.ahead = append(ahead, cc.ahead...) // which was read before it was asked for
		cc.screen = new(screen)
	case *secure:
		if cc.ConnectionState().NegotiatedProtocol == "h2" {
			c = cc.Conn // net/http knows it by its type
		}
		cc.ahead, cc.screen = ahead, new(screen)
	}
	select {
	case h.conns <- c:
	case <-h.closed:
		_ = c.Close()
	}
}

// Accept returns the next connection that was handed over.
func (h *handed) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

// Close lets take close what it is given.
func (h *handed) Close() error {
	h.closeOnce.Do(func() { close(h.closed) })
	return nil
}

// Addr returns the address of the listener that the connections came by.
func (h *handed) Addr() net.Addr { return h.addr }

const refusal503 = "HTTP/1.1 503 Service Unavailable\r\n" +
	"Content-Type: text/plain; charset=utf-8\r\nContent-Length: 62\r\n" +
	"Cache-Control: no-store\r\nRetry-After: 2\r\nConnection: close\r\n\r\n" +
	"This node takes no more connections for now. Try again later.\n"

// refuse reads the request's beginning, answers 503 and closes, within a
// second: closing with unread bytes would reset the answer away.
func (l *listener) refuse(c net.Conn) {
	defer func() { <-l.refusals }()
	defer func() { _ = c.Close() }()
	if l.secrets != nil {
		return // no handshake is spent on a refusal
	}
	if err := c.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return
	}
	var buf [4096]byte
	if _, err := c.Read(buf[:]); err != nil {
		return
	}
	if _, err := io.WriteString(c, refusal503); err != nil {
		return
	}
	if t, ok := c.(*net.TCPConn); ok && t.CloseWrite() == nil {
		_, _ = io.CopyN(io.Discard, c, 64<<10)
	}
}
