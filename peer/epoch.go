package peer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	peerv1 "github.com/mccd/mccd/proto/mccd/peer/v1"
	"github.com/mccd/mccd/ring"
)

// Learner takes a placement that another node has and this one not yet. A
// Placement may implement it; without it the node waits for its own to come.
type Learner interface {
	// Learn is given an epoch that is newer than that of the present View, with
	// its members. The nodes have id, name, zone and peer address; who is alive
	// is not told. It does not block for long, and is called concurrently.
	Learn(epoch ring.Epoch, nodes []ring.Node, members []ring.Member)
}

// errForeign tells that a peer is of another cluster: for a flight it is not
// reachable.
var errForeign = fmt.Errorf("peer is of another cluster: %w", errSilent)

func epochToProto(e ring.Epoch) *peerv1.Epoch {
	if e == (ring.Epoch{}) {
		return nil
	}
	return &peerv1.Epoch{Cluster: e.Cluster, Generation: e.Generation, Index: e.Index}
}

func epochFromProto(m *peerv1.Epoch) ring.Epoch {
	return ring.Epoch{Cluster: m.GetCluster(), Generation: m.GetGeneration(), Index: m.GetIndex()}
}

// notOwner is the answer of a node that is not on the list: its epoch and, to a
// caller with an older one, its placement.
func (f *Filler) notOwner(caller ring.Epoch, whole string) *peerv1.NotOwner {
	view := f.cfg.Placement.View()
	m := &peerv1.NotOwner{ViewDigest: view.Digest(), Whole: whole, Epoch: epochToProto(view.Epoch)}
	if !view.Epoch.Newer(caller) {
		return m
	}
	for i, member := range view.Ring.Members() {
		node := view.Node(uint16(i))
		m.Members = append(m.Members, &peerv1.Member{
			Id: member.ID, Name: node.Name, Zone: member.Zone, Weight: uint32(member.Weight), PeerAddr: node.PeerAddr,
		})
	}
	return m
}

// errNotOwner tells that a peer places the chunk elsewhere.
type errNotOwner struct {
	digest uint64 // of its ring
	epoch  ring.Epoch
	whole  string // the node that fills the object whole, if any
	// members are those of its ring, where it is newer.
	members []*peerv1.Member
}

func (*errNotOwner) Error() string { return "peer is not on the chunk's list" }

func notOwnerFromProto(m *peerv1.NotOwner) *errNotOwner {
	return &errNotOwner{
		digest: m.GetViewDigest(), epoch: epochFromProto(m.GetEpoch()), whole: m.GetWhole(), members: m.GetMembers(),
	}
}

// learn hands the placement of e to who publishes this node's Views.
func (f *Filler) learn(e *errNotOwner) {
	learner, ok := f.cfg.Placement.(Learner)
	if !ok || len(e.members) == 0 || len(e.members) > ring.MaxMembers {
		return
	}
	nodes := make([]ring.Node, 0, len(e.members))
	members := make([]ring.Member, 0, len(e.members))
	for _, m := range e.members {
		nodes = append(nodes, ring.Node{ID: m.GetId(), Name: m.GetName(), Zone: m.GetZone(), PeerAddr: m.GetPeerAddr()})
		members = append(members, ring.Member{ID: m.GetId(), Zone: m.GetZone(), Weight: int(m.GetWeight())})
	}
	// It may build a ring, which takes tens of milliseconds with many nodes.
	f.detach(func() { learner.Learn(e.epoch, nodes, members) })
}

// caughtUp reports whether this node's placement changed while it waited for
// it, because that of a peer that does not count itself an owner is newer. It
// waits once in a flight, for Config.CatchUp at most.
func (f *Filler) caughtUp(r *route, e *errNotOwner) bool {
	if r.waited || e.digest == r.digest {
		return false
	}
	known := e.epoch.Cluster != "" && r.epoch.Cluster != ""
	if known && !e.epoch.Newer(r.epoch) {
		return false // the peer is the older one, and has waited for its own
	}
	r.waited = true
	f.learn(e)
	return f.awaitView(f.ctx, func(v *ring.View) bool {
		return v.Digest() != r.digest && (!known || !e.epoch.Newer(v.Epoch))
	})
}

// onListOf reports whether this node is among the candidates of the chunk. Where
// it is not, and the caller's epoch is newer, it waits for its own placement to
// reach that, for Config.CatchUp at most; after that the caller, who knows more,
// is believed: what this node then does on its behalf costs at most one fetch
// that another node does too.
func (f *Filler) onListOf(ctx context.Context, p place, caller ring.Epoch) bool {
	if f.onList(p) {
		return true
	}
	if !caller.Newer(f.cfg.Placement.View().Epoch) {
		return false
	}
	reached := f.awaitView(ctx, func(v *ring.View) bool { return !caller.Newer(v.Epoch) })
	return f.onList(p) || !reached
}

// awaitView waits until ok holds of the present View, for Config.CatchUp at
// most, and reports whether it does.
func (f *Filler) awaitView(ctx context.Context, ok func(*ring.View) bool) bool {
	limit := time.NewTimer(f.cfg.CatchUp)
	defer limit.Stop()
	look := time.NewTicker(max(f.cfg.CatchUp/16, time.Millisecond)) // a Placement need not tell of changes
	defer look.Stop()
	for {
		changed := f.changes.next()
		if ok(f.cfg.Placement.View()) {
			return true
		}
		select {
		case <-changed:
		case <-look.C:
		case <-limit.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// agree checks by what placement a caller goes: a node of another cluster is
// refused; that one with the same epoch places differently is counted, and told
// once.
func (f *Filler) agree(caller string, m *peerv1.Epoch, digest uint64) error {
	view := f.cfg.Placement.View()
	e := epochFromProto(m)
	if digest != view.Digest() {
		f.metrics.disagreements.Inc()
	}
	switch {
	case e.Cluster == "" || view.Epoch.Cluster == "":
	case e.Cluster != view.Epoch.Cluster:
		f.foreign.Do(func() {
			f.logger.Warn("a node of another cluster asks", "node", caller, "its cluster", e.Cluster, "ours", view.Epoch.Cluster)
		})
		return status.Error(codes.FailedPrecondition, "this node is of another cluster")
	case e == view.Epoch && digest != view.Digest():
		f.misplaced.Do(func() {
			f.logger.Error("a node places chunks differently by the same epoch: do all nodes run releases that fit?",
				"node", caller, "epoch", e.String())
		})
	}
	return nil
}

// broadcast lets any number wait for the next change. The zero value is ready.
type broadcast struct {
	mu sync.Mutex // guards ch
	ch chan struct{}
}

// next returns a channel that closes at the next change.
func (b *broadcast) next() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch == nil {
		b.ch = make(chan struct{})
	}
	return b.ch
}

// tell wakes all who wait.
func (b *broadcast) tell() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch != nil {
		close(b.ch)
		b.ch = nil
	}
}

// isForeign reports whether a call was refused because the peer is of another
// cluster.
func isForeign(err error) bool {
	return errors.Is(err, errForeign) || status.Code(err) == codes.FailedPrecondition
}
