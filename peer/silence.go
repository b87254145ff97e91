package peer

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"

	"github.com/mccd/mccd/storage"
)

// connectParams keeps reconnecting quick: nodes of one cluster are near.
func connectParams() grpc.ConnectParams {
	return grpc.ConnectParams{
		Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
		MinConnectTimeout: time.Second,
	}
}

// dialer returns the function by which grpc reaches node.
func (l *links) dialer(node string) func(context.Context, string) (net.Conn, error) {
	if l.cfg.Dial == nil {
		return func(ctx context.Context, addr string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", addr)
		}
	}
	return func(ctx context.Context, addr string) (net.Conn, error) { return l.cfg.Dial(ctx, node, addr) }
}

// hearing are credentials whose connections note when anything comes from the
// peer: a byte of any stream, not a whole message, which may take long where
// many streams share a slow network. The credentials within see the connection
// as it was dialled.
type hearing struct {
	credentials.TransportCredentials
	link *link
	lane *lane
}

// ClientHandshake implements credentials.TransportCredentials.
func (h *hearing) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	c, info, err := h.TransportCredentials.ClientHandshake(ctx, authority, raw)
	if err != nil {
		return nil, nil, err
	}
	return &heardConn{Conn: c, link: h.link, lane: h.lane}, info, nil
}

// Clone implements credentials.TransportCredentials.
func (h *hearing) Clone() credentials.TransportCredentials {
	return &hearing{TransportCredentials: h.TransportCredentials.Clone(), link: h.link, lane: h.lane}
}

// heardConn notes each read on its link and lane.
type heardConn struct {
	net.Conn
	link *link
	lane *lane
}

// Read reads from the peer.
func (c *heardConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		now := monotonic()
		c.link.heard.Store(now)
		c.lane.heard.Store(now)
		if c.lane.out.Load() {
			c.lane.out.Store(false)
		}
	}
	return n, err
}

// watch ends a call when its peer falls silent: no byte on any stream of the
// link for limit while this side was waiting for one. A call that is not being
// read, because its reader is busy writing to a drive, is not silent.
type watch struct {
	link *link
	// lane is the connection of the call; nil = it is not watched by itself.
	lane    *lane
	limit   time.Duration
	cancel  context.CancelCauseFunc
	waiting atomic.Int64 // since when a receive is waited for; 0 = none is
	stop    chan struct{}
}

// startWatch begins to watch; it is stopped by close.
func startWatch(k *link, limit time.Duration, cancel context.CancelCauseFunc) *watch {
	return startLaneWatch(k, nil, limit, cancel)
}

// startLaneWatch is startWatch for a call over way.
func startLaneWatch(k *link, way *lane, limit time.Duration, cancel context.CancelCauseFunc) *watch {
	w := &watch{link: k, lane: way, limit: limit, cancel: cancel, stop: make(chan struct{})}
	go w.run()
	return w
}

// laneSilences is how many times longer than a peer one of its connections may
// be silent, while others are heard.
const laneSilences = 4

// errLane: the peer lives, and a connection to it is dead: the call is made
// again over another, as after BUSY.
var errLane = fmt.Errorf("%w: one connection to the peer is silent", storage.ErrBusy)

func (w *watch) close() { close(w.stop) }

// receive runs one receive of the stream under the watch.
func (w *watch) receive(recv func() error) error {
	w.waiting.Store(monotonic())
	err := recv()
	w.waiting.Store(0)
	return err
}

func (w *watch) run() {
	interval := max(w.limit/6, time.Millisecond)
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	last, pausedUntil := monotonic(), int64(0)
	for {
		select {
		case <-w.stop:
			return
		case <-ticker.C:
		}
		now := monotonic()
		if now-last > int64(2*interval) {
			// This process itself stood still: what came meanwhile is not
			// read yet, so the peer's silence is counted from now.
			pausedUntil = now
		}
		last = now
		since := w.waiting.Load()
		if since == 0 {
			continue
		}
		if now-max(since, w.link.heard.Load(), pausedUntil) > int64(w.limit) {
			w.cancel(errSilent)
			return
		}
		// After a pause, too, limit is time enough to read what came meanwhile:
		// a process that stands still now and then finds a dead connection.
		if w.lane != nil && now-pausedUntil > int64(w.limit) && now-max(since, w.lane.heard.Load()) > laneSilences*int64(w.limit) {
			w.lane.out.Store(true)
			w.cancel(errLane)
			return
		}
	}
}
