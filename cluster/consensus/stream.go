package consensus

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// layer gives Raft's transport the streams of the Config. It knows every
// connection, so that at the end none keeps a goroutine waiting.
type layer struct {
	stream Stream
	id     string
	ctx    context.Context //nolint:containedctx // the transport's calls carry none
	cancel context.CancelFunc

	mu    sync.Mutex // guards what follows
	conns map[net.Conn]struct{}
	done  bool
}

func newLayer(stream Stream, id string) *layer {
	ctx, cancel := context.WithCancel(context.Background())
	return &layer{stream: stream, id: id, ctx: ctx, cancel: cancel, conns: make(map[net.Conn]struct{})}
}

func (l *layer) Accept() (net.Conn, error) {
	conn, err := l.stream.Accept()
	if err != nil {
		return nil, err
	}
	return l.track(conn)
}

func (l *layer) Dial(address raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	ctx := l.ctx
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	conn, err := l.stream.Dial(ctx, string(address))
	if err != nil {
		return nil, err
	}
	return l.track(conn)
}

func (l *layer) track(conn net.Conn) (net.Conn, error) {
	t := &tracked{Conn: conn, layer: l}
	l.mu.Lock()
	done := l.done
	if !done {
		l.conns[t] = struct{}{}
	}
	l.mu.Unlock()
	if done {
		_ = conn.Close()
		return nil, net.ErrClosed
	}
	return t, nil
}

// hangUp ends all dials and connections, and those to come.
func (l *layer) hangUp() {
	l.cancel()
	l.mu.Lock()
	l.done = true
	conns := l.conns
	l.conns = make(map[net.Conn]struct{})
	l.mu.Unlock()
	for conn := range conns {
		_ = conn.(*tracked).Conn.Close()
	}
}

// Close ends everything, the Stream too.
func (l *layer) Close() error {
	l.hangUp()
	return l.stream.Close()
}

// Addr is the node's id: addresses are found at each dial.
func (l *layer) Addr() net.Addr { return nodeAddr(l.id) }

type nodeAddr string

func (nodeAddr) Network() string  { return "mccd" }
func (a nodeAddr) String() string { return string(a) }

type tracked struct {
	net.Conn
	layer *layer
}

func (t *tracked) Close() error {
	t.layer.mu.Lock()
	delete(t.layer.conns, t)
	t.layer.mu.Unlock()
	return t.Conn.Close()
}
