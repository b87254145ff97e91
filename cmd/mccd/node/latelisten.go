package node

import (
	"fmt"
	"net"
	"sync"
	"time"
)

// bindAgain is how soon a port is tried again that was not to be had.
const bindAgain = 5 * time.Second

// lateListener takes its port once the node runs, and tries again where
// somebody else on the machine has it.
type lateListener struct {
	addr   string
	ready  chan struct{} // closed once it is bound
	closed chan struct{}

	mu    sync.Mutex // guards the rest
	inner net.Listener
	ended bool
	tried time.Time
	err   error // of the last try
}

func newLateListener(addr string) *lateListener {
	return &lateListener{addr: addr, ready: make(chan struct{}), closed: make(chan struct{})}
}

// bind takes the port, unless it has it, or has tried a moment ago.
func (l *lateListener) bind(now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.inner != nil || l.ended || now.Sub(l.tried) < bindAgain {
		return l.err
	}
	l.tried = now
	inner, err := net.Listen("tcp", l.addr)
	if err != nil {
		l.err = fmt.Errorf("listen for https clients: %w", err)
		return l.err
	}
	l.inner, l.err = inner, nil
	close(l.ready)
	return nil
}

// bound reports whether it has its port.
func (l *lateListener) bound() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.inner != nil && !l.ended
}

// Accept waits for the port first.
func (l *lateListener) Accept() (net.Conn, error) {
	select {
	case <-l.ready:
		return l.inner.Accept() // not changed any more
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close gives the port back.
func (l *lateListener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return net.ErrClosed
	}
	l.ended = true
	close(l.closed)
	if l.inner != nil {
		return l.inner.Close()
	}
	return nil
}

// Addr returns the port that it has, or is to have.
func (l *lateListener) Addr() net.Addr {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.inner != nil {
		return l.inner.Addr()
	}
	return wanted(l.addr)
}

// wanted is an address that is not bound.
type wanted string

// Network implements net.Addr.
func (wanted) Network() string { return "tcp" }

// String implements net.Addr.
func (w wanted) String() string { return string(w) }
