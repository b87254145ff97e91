package peer

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"

	peerv1 "github.com/mccd/mccd/proto/mccd/peer/v1"
	"github.com/mccd/mccd/ring"
)

// firstAsk is how soon a suspect is asked whether it lives; the waits double up
// to a quarter of Config.BreakerOpen.
const firstAsk = 100 * time.Millisecond

// suspicion is what is known of one peer's silence: the breaker of its link.
type suspicion struct {
	// heard is when anything last came from the peer, by monotonic.
	heard atomic.Int64
	// since is when it was last found silent; 0 = it is not suspected.
	since atomic.Int64

	// incarnation is that of the peer when it was last wanted.
	incarnation atomic.Uint64

	mu     sync.Mutex // guards what follows
	due    int64      // when it may be asked again
	wait   time.Duration
	back   bool          // it is said to be back: its next ping is given more time
	asking chan struct{} // closed when the ping in flight has ended; nil = none is

	remaking sync.Mutex // lets one call at a time replace what a pause broke
	remade   int64      // the pause for which that was done last
}

// returned lets the peer, if it is suspected, be asked at its next use:
// something tells that it is back.
func (s *suspicion) returned() {
	if !s.suspected() {
		return
	}
	s.mu.Lock()
	s.due, s.wait, s.back = 0, firstAsk, true
	s.mu.Unlock()
}

// suspected reports whether the peer was found silent and nothing came from it
// since.
func (s *suspicion) suspected() bool {
	since := s.since.Load()
	if since == 0 {
		return false
	}
	if s.heard.Load() <= since {
		return true
	}
	s.since.CompareAndSwap(since, 0)
	return false
}

// suspect notes that k was silent or broke: it is passed over until it is heard
// again.
func (l *links) suspect(k *link) {
	if !l.current(k) {
		return // its connection was replaced meanwhile: the peer is not to blame
	}
	k.mu.Lock()
	if k.since.Load() == 0 {
		k.wait = firstAsk
		k.due = monotonic() + int64(k.wait)
	}
	k.since.Store(monotonic())
	k.mu.Unlock()
}

// revisit notes that suspects which view holds for alive may be back: gossip
// may have heard of them again.
func (l *links) revisit(view *ring.View) {
	nodes := view.Nodes()
	for i := range nodes {
		if nodes[i].State == ring.Failed || nodes[i].ID == view.Self || nodes[i].PeerAddr == "" {
			continue
		}
		if k, err := l.to(&nodes[i]); err == nil {
			k.returned()
		}
	}
}

// calledBy notes that node asked this one what nodes ask that start or return:
// a node that was killed is back before gossip knows that it was gone.
func (l *links) calledBy(node *ring.Node) {
	if node.PeerAddr == "" {
		return
	}
	if k, err := l.to(node); err == nil {
		k.returned()
	}
}

// usable reports whether node may be asked: it is not suspected of silence. A
// suspect is pinged when it is due, or is another incarnation than before; all
// who want it wait for that ping, for a third of Config.Silence at most, and all
// of it where it is said to be back: its connection is made anew then.
func (l *links) usable(node *ring.Node) bool {
	k, err := l.to(node)
	if err != nil {
		return false
	}
	again := k.incarnation.Load() != node.Incarnation
	if again {
		k.incarnation.Store(node.Incarnation)
	}
	if !k.suspected() {
		return true
	}
	if again {
		k.returned()
	}
	k.mu.Lock()
	if asking := k.asking; asking != nil {
		k.mu.Unlock()
		<-asking
		return !k.suspected()
	}
	if monotonic() < k.due {
		k.mu.Unlock()
		return false
	}
	asking := make(chan struct{})
	k.asking = asking
	patience := l.cfg.Silence / 3
	if k.back {
		k.back, patience = false, l.cfg.Silence
	}
	k.mu.Unlock()

	alive := l.ping(k, patience)

	k.mu.Lock()
	if alive {
		k.since.Store(0)
	} else {
		k.wait = min(2*k.wait, max(l.cfg.BreakerOpen/4, firstAsk))
		k.due = monotonic() + int64(k.wait)
	}
	k.asking = nil
	k.mu.Unlock()
	close(asking)
	if !alive {
		l.renew(k)
	}
	return alive
}

// ping asks whether the peer lives; anything that comes from it is an answer.
func (l *links) ping(k *link, within time.Duration) bool {
	began := monotonic()
	ctx, cancel := context.WithTimeout(l.ctx, within)
	defer cancel()
	if k.lanes[0].conn.GetState() == connectivity.TransientFailure {
		k = l.renew(k) // a returned peer is not to wait for the back-off
	}
	_, err := k.client.Ping(ctx, &peerv1.PingRequest{}, grpc.WaitForReady(false))
	return err == nil || k.heard.Load() >= began
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
