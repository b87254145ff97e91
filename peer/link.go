package peer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	peerv1 "github.com/mccd/mccd/proto/mccd/peer/v1"
	"github.com/mccd/mccd/ring"
)

// errSilent is the end of a call to a peer that was not heard of for
// Config.Silence.
var errSilent = errors.New("peer is silent")

// Windows and buffers of the connections between nodes, in bytes. The windows
// are explicit, because grpc's own estimate caps bulk throughput; they bound
// what one slow reader can hold in memory.
const (
	streamWindow = 512 << 10
	connWindow   = 16 << 20
	wireBuffer   = 256 << 10
	maxMessage   = 1 << 20
)

// How long a connection may be without a byte before it is tested, and how long
// the test may take. grpc allows no shorter time for a client.
const (
	keepaliveTime    = 10 * time.Second
	keepaliveTimeout = 2 * time.Second
)

// links holds one link per peer address.
type links struct {
	cfg  Config
	ctx  context.Context // of the Filler: probes end with it
	work *detached

	mu     sync.Mutex // guards what follows
	byAddr map[string]*link
	closed bool
}

// link is the connection to one peer and what is known of its silence.
type link struct {
	addr   string
	conn   *grpc.ClientConn
	client peerv1.PeerClient
	// heard is when anything last came from the peer, in nanoseconds since
	// epoch of the monotonic clock.
	heard atomic.Int64
	// silentUntil is until when the peer is passed over; after that it is
	// asked by a ping. 0 = it is not suspected.
	silentUntil atomic.Int64
	probing     atomic.Bool
}

func newLinks(ctx context.Context, work *detached, cfg Config) *links {
	return &links{cfg: cfg, ctx: ctx, work: work, byAddr: make(map[string]*link)}
}

// to returns the link to node, made at first use; it does not wait for a
// connection.
func (l *links) to(node *ring.Node) (*link, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if k := l.byAddr[node.PeerAddr]; k != nil {
		return k, nil
	}
	if l.closed {
		return nil, errStopped
	}
	creds := l.cfg.ClientCredentials
	if creds == nil {
		creds = insecure.NewCredentials()
	}
	k := &link{addr: node.PeerAddr}
	conn, err := grpc.NewClient("passthrough:///"+node.PeerAddr, dialOptions(creds, k.dialer(l.cfg.Dial))...)
	if err != nil {
		return nil, fmt.Errorf("dial peer %s: %w", node.PeerAddr, err)
	}
	k.conn, k.client = conn, peerv1.NewPeerClient(conn)
	l.byAddr[node.PeerAddr] = k
	return k, nil
}

// renew closes a link whose peer did not answer a ping, so that nothing goes on
// waiting for a dead connection; the next use makes a new one, which is passed
// over for as long.
func (l *links) renew(k *link) {
	l.mu.Lock()
	if l.byAddr[k.addr] == k {
		delete(l.byAddr, k.addr)
	}
	l.mu.Unlock()
	_ = k.conn.Close() // its calls end, their flights move on
	if fresh, err := l.to(&ring.Node{PeerAddr: k.addr}); err == nil {
		fresh.silentUntil.Store(k.silentUntil.Load())
	}
}

func dialOptions(creds credentials.TransportCredentials, dial func(context.Context, string) (net.Conn, error)) []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithTransportCredentials(creds),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(codec{}), grpc.MaxCallRecvMsgSize(maxMessage+4096)),
		grpc.WithInitialWindowSize(streamWindow),
		grpc.WithInitialConnWindowSize(connWindow),
		grpc.WithReadBufferSize(wireBuffer),
		grpc.WithWriteBufferSize(wireBuffer / 4),
		grpc.WithNoProxy(),
		grpc.WithDisableServiceConfig(),
		grpc.WithDisableRetry(), // the flight is the one retry loop
		grpc.WithConnectParams(connectParams()),
		grpc.WithContextDialer(dial),
		// A connection that died without a word is given up by both sides.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: keepaliveTime, Timeout: keepaliveTimeout}),
	}
}

func (l *links) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for _, k := range l.byAddr {
		_ = k.conn.Close() // nothing is left to lose
	}
}

// retain closes the links to addresses that are no longer in the view.
func (l *links) retain(view *ring.View) {
	wanted := make(map[string]bool)
	for _, n := range view.Nodes() {
		wanted[n.PeerAddr] = true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for addr, k := range l.byAddr {
		if !wanted[addr] {
			delete(l.byAddr, addr)
			_ = k.conn.Close() // its calls end, their flights move on
		}
	}
}

// revisit pings the suspects that view holds for alive now, before their time
// is over: gossip has heard of them again.
func (l *links) revisit(view *ring.View) {
	nodes := view.Nodes()
	for i := range nodes {
		node := &nodes[i]
		if node.State == ring.Failed || node.ID == view.Self || node.PeerAddr == "" {
			continue
		}
		if k, err := l.to(node); err == nil && k.silentUntil.Load() > 1 {
			k.silentUntil.Store(1)
			l.usable(node)
		}
	}
}

// usable reports whether node may be asked: it is not suspected of silence. A
// suspect whose time is over is pinged in the background first.
func (l *links) usable(node *ring.Node) bool {
	k, err := l.to(node)
	if err != nil {
		return false
	}
	until := k.silentUntil.Load()
	if until == 0 {
		return true
	}
	if now := monotonic(); now >= until && k.probing.CompareAndSwap(false, true) {
		probe := func() {
			defer k.probing.Store(false)
			if l.ping(k, l.cfg.Silence) {
				k.silentUntil.Store(0)
			} else {
				k.silentUntil.Store(monotonic() + int64(l.cfg.BreakerOpen))
				l.renew(k)
			}
		}
		if !l.work.start(probe) {
			k.probing.Store(false)
		}
	}
	return false
}

// lively reports whether node was heard on its link within Config.BreakerOpen:
// then it is not dead, whatever gossip, which starves first on a busy machine,
// says.
func (l *links) lively(node *ring.Node) bool {
	k, err := l.to(node)
	if err != nil {
		return false
	}
	heard := k.heard.Load()
	return heard != 0 && monotonic()-heard < int64(l.cfg.BreakerOpen)
}

// suspect notes that k was silent or broke, so that it is passed over for
// Config.BreakerOpen.
func (l *links) suspect(k *link) {
	k.silentUntil.Store(monotonic() + int64(l.cfg.BreakerOpen))
	// A connection in back-off would keep a returned peer out for longer.
	k.conn.ResetConnectBackoff()
}

func (l *links) ping(k *link, within time.Duration) bool {
	began := monotonic()
	ctx, cancel := context.WithTimeout(l.ctx, within)
	defer cancel()
	_, err := k.client.Ping(ctx, &peerv1.PingRequest{}, grpc.WaitForReady(true))
	return err == nil || k.heard.Load() >= began // its streams flow
}

// base is the start of the process's monotonic clock for this package.
var base = time.Now() //nolint:gochecknoglobals // a constant of the process

// monotonic returns nanoseconds that never step with the wall clock.
func monotonic() int64 { return int64(time.Since(base)) + 1 }
