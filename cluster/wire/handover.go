package wire

import (
	"context"
	"net"
	"sync"
)

// handOver passes finished connections of one protocol to whoever serves it,
// as a net.Listener or by next.
type handOver struct {
	addr   net.Addr
	conns  chan *Conn
	done   <-chan struct{} // the port's
	closed chan struct{}   // its own
	once   sync.Once
}

func newHandOver(addr net.Addr, done <-chan struct{}) *handOver {
	return &handOver{addr: addr, conns: make(chan *Conn), done: done, closed: make(chan struct{})}
}

// offer waits until somebody takes the connection; false where nobody does.
func (h *handOver) offer(ctx context.Context, c *Conn) bool {
	select {
	case h.conns <- c:
		return true
	case <-h.closed:
	case <-h.done:
	case <-ctx.Done():
	}
	return false
}

func (h *handOver) next(ctx context.Context) (*Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.closed:
	case <-h.done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return nil, net.ErrClosed
}

// Accept implements net.Listener.
func (h *handOver) Accept() (net.Conn, error) {
	c, err := h.next(context.Background())
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Close implements net.Listener. The port goes on.
func (h *handOver) Close() error {
	h.once.Do(func() { close(h.closed) })
	return nil
}

// Addr implements net.Listener.
func (h *handOver) Addr() net.Addr { return h.addr }
