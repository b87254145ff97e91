package peer

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/experimental"
	"google.golang.org/grpc/keepalive"

	peerv1 "github.com/mccd/mccd/proto/mccd/peer/v1"
	"github.com/mccd/mccd/ring"
)

// errSilent is the end of a call to a peer that was not heard of for
// Config.Silence.
var errSilent = errors.New("peer is silent")

// Windows and buffers of the connections between nodes, in bytes. The windows
// are explicit, because grpc's own estimate caps bulk throughput. A reader that
// is slow holds streamWindow of memory for each of its streams, and never keeps
// those of others from the connection's window, which grpc opens on receipt.
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

// links holds one link per node and address: a node that moved, and another
// node at an address that was one's before, get links of their own.
type links struct {
	cfg Config
	ctx context.Context // of the Filler: probes end with it

	mu     sync.Mutex // guards what follows
	byPeer map[peerKey]*link
	// retired are links to nodes that left, until their calls have had time to
	// end.
	retired map[*link]*time.Timer
	closed  bool
}

// peerKey is a node's id and its address.
type peerKey struct{ node, addr string }

// link is the connections to one peer and what is known of its silence, which
// stays when they are replaced: a byte on any of them is a sign of life.
type link struct {
	peer  peerKey
	lanes lanes
	// client calls on the first lane.
	client peerv1.PeerClient
	*suspicion
}

func newLinks(ctx context.Context, cfg Config) *links {
	return &links{cfg: cfg, ctx: ctx, byPeer: make(map[peerKey]*link), retired: make(map[*link]*time.Timer)}
}

// to returns the link to node, made at first use; it does not wait for a
// connection.
func (l *links) to(node *ring.Node) (*link, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	peer := peerKey{node.ID, node.PeerAddr}
	if k := l.byPeer[peer]; k != nil {
		return k, nil
	}
	if l.closed {
		return nil, errStopped
	}
	return l.connect(peer, new(suspicion))
}

// connect makes the link to peer. l.mu is held.
func (l *links) connect(peer peerKey, s *suspicion) (*link, error) {
	k := &link{peer: peer, suspicion: s}
	creds := hearing{TransportCredentials: l.credentials(), link: k}
	var err error
	if k.lanes, err = newLanes(l.cfg.Connections, peer.addr, creds, l.dialer(peer.node)); err != nil {
		return nil, err
	}
	k.client = k.lanes[0].client
	l.byPeer[peer] = k
	return k, nil
}

// renew replaces the connection of k, whose peer did not answer, so that
// nothing goes on waiting for one that died without a word, and returns the
// link that counts from then on.
func (l *links) renew(k *link) *link {
	l.mu.Lock()
	fresh := l.byPeer[k.peer]
	if fresh == k && !l.closed {
		if renewed, err := l.connect(k.peer, k.suspicion); err == nil {
			fresh = renewed
		}
	}
	l.mu.Unlock()
	if fresh == nil || fresh == k {
		return k
	}
	k.lanes.close() // its calls end, their flights move on
	return fresh
}

// current reports whether k is the link that counts for its peer.
func (l *links) current(k *link) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.byPeer[k.peer] == k
}

func (l *links) credentials() credentials.TransportCredentials {
	if l.cfg.ClientCredentials != nil {
		return l.cfg.ClientCredentials
	}
	return insecure.NewCredentials()
}

func dialOptions(creds credentials.TransportCredentials, dial func(context.Context, string) (net.Conn, error)) []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithTransportCredentials(creds),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(codec{}), grpc.MaxCallRecvMsgSize(maxMessage+4096)),
		grpc.WithInitialWindowSize(streamWindow),
		grpc.WithInitialConnWindowSize(connWindow),
		grpc.WithReadBufferSize(wireBuffer),
		grpc.WithWriteBufferSize(wireBuffer / 4),
		experimental.WithBufferPool(&buffers),
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
	for k, timer := range l.retired {
		timer.Stop()
		k.lanes.close()
	}
	for _, k := range l.byPeer {
		k.lanes.close()
	}
}

// retain gives up the links to nodes and addresses that are no longer in the
// view. Calls in progress have time to end: a node that leaves in good order
// still gives what it is giving.
func (l *links) retain(view *ring.View) {
	wanted := make(map[peerKey]bool)
	for _, n := range view.Nodes() {
		wanted[peerKey{n.ID, n.PeerAddr}] = true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for peer, k := range l.byPeer {
		if !wanted[peer] {
			delete(l.byPeer, peer)
			l.retire(k)
		}
	}
}

// retire closes k in a while. l.mu is held.
func (l *links) retire(k *link) {
	if l.closed {
		return
	}
	l.retired[k] = time.AfterFunc(drainTime, func() {
		l.mu.Lock()
		delete(l.retired, k)
		l.mu.Unlock()
		k.lanes.close() // what still runs ends, its flights move on
	})
}

// base is the start of the process's monotonic clock for this package.
var base = time.Now() //nolint:gochecknoglobals // a constant of the process

// monotonic returns nanoseconds that never step with the wall clock.
func monotonic() int64 { return int64(time.Since(base)) + 1 }
