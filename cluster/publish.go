package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mccd/mccd/cluster/gossip"
	"github.com/mccd/mccd/cluster/state"
	"github.com/mccd/mccd/ring"
)

// ringsKept is how many rings are kept, so that a change that is undone, or
// offered before it is applied, is not computed again.
const ringsKept = 4

// offer is a placement that a peer has told, newer than this node's state.
type offer struct {
	epoch   ring.Epoch
	members []ring.Member
	nodes   []ring.Node
	at      time.Time // monotonic
}

// offeredFor is how long a told placement counts that this node's state does
// not reach; as long none is taken after one that it did not reach.
const offeredFor = time.Minute

// stale reports whether the offer counts no more.
func (o *offer) stale() bool { return time.Since(o.at) > offeredFor }

// Learn takes in a newer placement that another node has told. It is the View
// until this node has applied the state that it is of, for a minute at most:
// one that never comes must not be this node's ring. Of another recovery
// generation it is of no use, and of more members than a cluster has. nodes
// name the members and where they are.
func (c *Cluster) Learn(epoch ring.Epoch, nodes []ring.Node, members []ring.Member) {
	st := c.State()
	own := st.Epoch()
	if st.ClusterID == "" || !epoch.Newer(own) || epoch.Generation != own.Generation || len(members) > maxNodes || len(nodes) > maxNodes {
		return
	}
	if old := c.offered.Load(); old != nil {
		if old.epoch.Newer(own) && old.stale() && time.Since(old.at) < 2*offeredFor {
			return // it lied, or this node is cut off from the state
		}
		if !old.stale() && !epoch.Newer(old.epoch) {
			return
		}
	}
	c.log.Info("a node told a newer placement", "epoch", epoch.String(), "own", own.String())
	c.offered.Store(&offer{epoch: epoch, members: members, nodes: nodes, at: time.Now()})
	if err := c.publish(); err != nil {
		c.log.Warn("a told placement is of no use", "err", err)
		c.offered.Store(nil)
	}
}

// View returns the present View; it is never nil.
func (c *Cluster) View() *ring.View { return c.view.Load() }

// watch publishes until ctx is done; events are gathered for Settle.
func (c *Cluster) watch(ctx context.Context) {
	var gather <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.nudged:
			if gather == nil {
				gather = time.After(c.cfg.Settle)
			}
		case <-gather:
			gather = nil
			if err := c.publish(); err != nil {
				c.log.Error("keep the former view", "err", err)
			}
		}
	}
}

// publish makes a View of what is known now.
func (c *Cluster) publish() error {
	c.publishing.Lock()
	defer c.publishing.Unlock()
	m := c.current.Load()
	epoch, members, nodes := c.placement(m)
	alive := make(map[string]gossip.Member)
	if m.gossip != nil {
		for _, g := range m.gossip.Members() {
			alive[g.ID] = g
		}
	}
	for i := range nodes {
		c.settleNode(m, &nodes[i], alive)
	}
	r, err := c.ringOf(members)
	if err != nil {
		return fmt.Errorf("place %d members: %w", len(members), err)
	}
	serial := uint64(1)
	if old := c.view.Load(); old != nil {
		serial = old.Serial + 1
		if old.Digest() == r.Digest() && old.Epoch == epoch && slices.Equal(old.Nodes(), nodes) {
			return nil
		}
	}
	v := ring.NewView(c.id, serial, r, nodes).At(epoch)
	c.logChange(c.view.Load(), v)
	c.view.Store(v)
	c.metrics.published(v)
	c.subscribers.publish(v)
	return nil
}

// placement returns who has a place: by the state, by a newer one that a peer
// told, or this node alone where it is in no cluster (yet, or any more).
func (c *Cluster) placement(m *membership) (ring.Epoch, []ring.Member, []ring.Node) {
	st := m.state()
	own, known := st.Node(c.id)
	if st.ClusterID == "" || known && own.State == state.Left {
		return ring.Epoch{}, []ring.Member{{ID: c.id, Zone: c.cfg.Zone, Weight: max(1, c.cfg.Weight)}},
			[]ring.Node{{ID: c.id, Name: c.cfg.Name, Zone: c.cfg.Zone}}
	}
	epoch := st.Epoch()
	if o := c.offered.Load(); o != nil {
		switch {
		case !o.epoch.Newer(epoch):
			c.offered.CompareAndSwap(o, nil)
		case !o.stale():
			return o.epoch, slices.Clone(o.members), slices.Clone(o.nodes)
		}
	}
	var members []ring.Member
	var nodes []ring.Node
	for _, n := range st.Members() {
		members = append(members, ring.Member{ID: n.ID, Zone: n.Zone, Weight: n.Weight})
		node := ring.Node{ID: n.ID, Name: n.Name, Zone: n.Zone, PeerAddr: n.PeerAddr}
		if n.State == state.Draining {
			node.State = ring.Draining
		}
		nodes = append(nodes, node)
	}
	return epoch, members, nodes
}

// settleNode fills in where n is and whether it lives.
func (c *Cluster) settleNode(m *membership, n *ring.Node, alive map[string]gossip.Member) {
	if p, ok := m.book.of(n.ID); ok {
		n.PeerAddr = p.Peer
	}
	if n.ID == c.id {
		n.PeerAddr, n.Incarnation = c.cfg.PeerAddr, c.incarnation.Load()
		if c.draining.Load() {
			n.State = ring.Draining
		}
		return
	}
	g, answers := alive[n.ID]
	switch {
	case answers:
		n.PeerAddr, n.Incarnation = g.PeerAddr, g.Incarnation
		if g.Draining {
			n.State = ring.Draining
		}
	case m.presumed[n.ID] && !m.settled.Load():
		// As in the former run, until it has been tried.
	default:
		n.State = ring.Failed
	}
}

// ringOf returns the ring of members from those that are kept if it is there.
func (c *Cluster) ringOf(members []ring.Member) (*ring.Ring, error) {
	slices.SortFunc(members, func(a, b ring.Member) int { return strings.Compare(a.ID, b.ID) })
	for _, r := range c.rings {
		if slices.Equal(r.Members(), members) {
			return r, nil
		}
	}
	r, err := ring.New(members)
	if err != nil {
		return nil, err
	}
	c.rings = append([]*ring.Ring{r}, c.rings[:min(len(c.rings), ringsKept-1)]...)
	return r, nil
}

// logChange says what an operator wants to know of a new View.
func (c *Cluster) logChange(old, v *ring.View) {
	if old == nil {
		return
	}
	for _, n := range v.Nodes() {
		was, ok := old.ByID(n.ID)
		switch {
		case !ok:
			c.log.Info("node is a member", "node", n.Name, "id", n.ID, "state", n.State.String(), "peer", n.PeerAddr)
		case was.State != n.State:
			c.log.Info("node changed", "node", n.Name, "id", n.ID, "state", n.State.String(), "was", was.State.String())
		}
	}
	for _, n := range old.Nodes() {
		if _, ok := v.ByID(n.ID); !ok {
			c.log.Info("node is no member any more", "node", n.Name, "id", n.ID)
		}
	}
	if old.Digest() != v.Digest() {
		c.log.Info("ring changed", "members", len(v.Nodes()), "digest", fmt.Sprintf("%016x", v.Digest()))
	}
}
