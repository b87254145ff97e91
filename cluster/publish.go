package cluster

import (
	"fmt"
	"path/filepath"
	"slices"
	"sync"

	"github.com/mccd/mccd/ring"
)

// ringsKept is how many rings are kept: a member that leaves and comes back
// costs no new one.
const ringsKept = 4

// publish makes a View of what is known now and publishes it, if it differs
// from the present one.
func (c *Cluster) publish() error {
	c.publishing.Lock()
	defer c.publishing.Unlock()

	answering := c.alive.Members()
	if c.left.Load() {
		answering = nil
	} else {
		c.dir.observe(answering, c.gossip.TakeDeparted())
		c.gossip.SetIncarnation(c.dir.own().incarnation)
	}
	states := make(map[string]ring.State, len(answering))
	for _, m := range answering {
		states[m.ID] = ring.Alive
		if m.Draining {
			states[m.ID] = ring.Draining
		}
	}
	records := c.members.Members()
	places := make([]ring.Member, 0, len(records))
	nodes := make([]ring.Node, 0, len(records))
	for _, r := range records {
		state, answers := states[r.id]
		switch {
		case r.id == c.id:
			state = ring.Alive
			if c.draining.Load() {
				state = ring.Draining
			}
		case answers:
		case c.presumed[r.id] && !c.settled.Load():
			state = ring.Alive
		default:
			state = ring.Failed
		}
		places = append(places, ring.Member{ID: r.id, Zone: r.zone, Weight: 1})
		nodes = append(nodes, ring.Node{ID: r.id, Name: r.name, Zone: r.zone, PeerAddr: r.peerAddr, State: state})
	}
	r, err := c.ringOf(places)
	if err != nil {
		return fmt.Errorf("place %d members: %w", len(places), err)
	}
	serial := uint64(1)
	if old := c.view.Load(); old != nil {
		if old.Digest() == r.Digest() && slices.Equal(old.Nodes(), nodes) {
			return nil
		}
		serial = old.Serial + 1
	}
	v := ring.NewView(c.id, serial, r, nodes)
	c.logChange(c.view.Load(), v)
	c.view.Store(v)
	c.metrics.published(v)
	c.subscribers.publish(v)
	return nil
}

// ringOf returns the ring of places, which are sorted, from those that are
// kept if it is there.
func (c *Cluster) ringOf(places []ring.Member) (*ring.Ring, error) {
	for _, r := range c.rings {
		if slices.Equal(r.Members(), places) {
			return r, nil
		}
	}
	r, err := ring.New(places)
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
			c.warnOfNamesake(v, n)
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

// warnOfNamesake tells of a member with the name of n, which is new. Nodes are
// told apart by their ids, but people and Cache-Status know only names.
func (c *Cluster) warnOfNamesake(v *ring.View, n ring.Node) {
	for _, other := range v.Nodes() {
		if other.Name == n.Name && other.ID != n.ID {
			c.log.Warn("two members have one name: give each a name of its own",
				"node", n.Name, "id", n.ID, "other", other.ID, "state", other.State.String())
		}
	}
}

// save writes the members file if what it holds has changed. One save follows
// the other, so that the file never goes back.
func (c *Cluster) save() {
	c.saving <- struct{}{}
	defer func() { <-c.saving }()
	b := sealMembers(c.dir.snapshot())
	if string(b) == c.saved {
		return
	}
	if err := writeAtomic(filepath.Join(c.cfg.DataDir, membersFile), b); err != nil {
		c.log.Error("keep known members", "err", err)
		return
	}
	c.saved = string(b)
}

// subscribers are told of every View, the latest at least.
type subscribers struct {
	mu   sync.Mutex
	all  map[int]chan *ring.View
	next int
}

// Subscribe returns a channel that gives the present View at once and then
// each new one; a reader that is slow gets the latest. cancel ends it; the
// channel is not closed.
func (c *Cluster) Subscribe() (views <-chan *ring.View, cancel func()) {
	// publishing, so that no View falls between the first and the next.
	c.publishing.Lock()
	defer c.publishing.Unlock()
	ch := make(chan *ring.View, 1)
	ch <- c.View()
	s := &c.subscribers
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = make(map[int]chan *ring.View)
	}
	s.next++
	id := s.next
	s.all[id] = ch
	return ch, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.all, id)
	}
}

// publish gives v to all; it is called by one goroutine at a time.
func (s *subscribers) publish(v *ring.View) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ch := range s.all {
		select {
		case <-ch:
		default:
		}
		ch <- v
	}
}
