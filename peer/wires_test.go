package peer

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// wires are the connections of one node to others, accepted and dialled. They
// can be frozen, as by SIGSTOP: then nothing is read or written, and nothing
// closes; and cut, as by SIGKILL.
type wires struct {
	// pace is how long each paceBytes read take at least, in nanoseconds.
	pace atomic.Int64

	mu    sync.Mutex // guards what follows
	flows chan struct{}
	conns map[*wire]struct{}
}

const paceBytes = 16 << 10

func newWires() *wires {
	w := &wires{flows: make(chan struct{}), conns: make(map[*wire]struct{})}
	close(w.flows)
	return w
}

func (w *wires) freeze() {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-w.flows:
		w.flows = make(chan struct{})
	default:
	}
}

func (w *wires) thaw() {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-w.flows:
	default:
		close(w.flows)
	}
}

func (w *wires) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.conns {
		_ = c.Conn.Close()
	}
}

func (w *wires) gate() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.flows
}

func (w *wires) add(conn net.Conn) net.Conn {
	c := &wire{Conn: conn, wires: w, closed: make(chan struct{})}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conns[c] = struct{}{}
	return c
}

// wire is one connection.
type wire struct {
	net.Conn
	wires  *wires
	closed chan struct{}
	once   sync.Once
}

func (c *wire) flow() error {
	select {
	case <-c.wires.gate():
		return nil
	case <-c.closed:
		return net.ErrClosed
	}
}

// Read implements net.Conn.
func (c *wire) Read(p []byte) (int, error) {
	if pace := c.wires.pace.Load(); pace > 0 {
		p = p[:min(len(p), paceBytes)]
		time.Sleep(time.Duration(pace)) //nolint:forbidigo // the slowness itself, not a wait
	}
	n, err := c.Conn.Read(p)
	if frozen := c.flow(); frozen != nil {
		return 0, frozen
	}
	return n, err
}

// Write implements net.Conn.
func (c *wire) Write(p []byte) (int, error) {
	if err := c.flow(); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// Close implements net.Conn.
func (c *wire) Close() error {
	c.once.Do(func() {
		close(c.closed)
		c.wires.mu.Lock()
		delete(c.wires.conns, c)
		c.wires.mu.Unlock()
	})
	return c.Conn.Close()
}

// wiredListener adds the connections that it accepts to wires.
type wiredListener struct {
	net.Listener
	wires *wires
}

// Accept implements net.Listener.
func (l *wiredListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.wires.add(conn), nil
}
