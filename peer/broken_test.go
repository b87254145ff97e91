package peer

import (
	"testing"
	"time"

	"github.com/mccd/mccd/test/faultorigin"
)

// reach has node i reach all others over its connections.
func (c *cluster) reach(i int) {
	c.t.Helper()
	n := c.nodes[i]
	for _, other := range c.nodes {
		if other.i == i {
			continue
		}
		node, _ := n.View().ByID(other.id)
		if k, err := n.links.to(node); err != nil || !n.links.ping(k, time.Minute) {
			c.t.Fatalf("%s does not reach %s: %v", n.id, other.id, err)
		}
	}
}

// cutInMidCall ends all connections of node i, which are frozen, once a call of
// it is on its way, as peers do that gave them up while it stood still: it
// cannot know before its first calls fail.
func (c *cluster) cutInMidCall(i int) {
	c.t.Helper()
	n := c.nodes[i]
	eventually(c.t, "a call of "+n.id+" is on its way", func() bool {
		n.links.mu.Lock()
		defer n.links.mu.Unlock()
		for _, k := range n.links.byPeer {
			for _, l := range k.lanes {
				if l.streams.Load() > 0 {
					return true
				}
			}
		}
		return false
	})
	n.wires.cut()
	n.wires.thaw()
}

// A node that stood still finds its connections broken. It asks again over new
// ones before it takes the others for silent and goes to the origin: what they
// fetched in its place is not fetched again.
func TestConnectionsBrokenByOwnPause(t *testing.T) {
	c := newCluster(t, 3)
	c.settle()
	path := c.path(1, 2, 0)
	c.origin.Add(faultorigin.Object{Path: path, Size: 3 << 20})
	gate := faultorigin.NewGate()
	defer gate.Open()
	const first = 256 << 10
	c.origin.Script(path, faultorigin.Behaviour{Requests: []int{1}, BodyGate: gate, HoldAfter: first, Break: faultorigin.Reset, After: first})
	ctx := within(t, time.Minute)
	req := c.request(path, piece(0))
	n := c.nodes[1]
	read := make(chan error, 1)
	go func() {
		_, err := n.read(ctx, req, "1")
		read <- err
	}()
	if err := c.origin.Ledger().WaitBytes(ctx, path, first); err != nil {
		t.Fatal(err)
	}
	c.reach(1)
	n.wires.freeze()
	c.suspectFor(2, 1) // node 2 acts for it
	if _, err := c.nodes[2].read(ctx, req, "1"); err != nil {
		t.Fatal(err)
	}
	before := len(c.origin.Ledger().Requests(path))
	n.paused.Store(monotonic())
	n.seenDead()
	gate.Open() // its answer breaks off: it asks the others for the rest
	c.cutInMidCall(1)
	if err := <-read; err != nil {
		t.Error(err)
	}
	for _, e := range c.origin.Ledger().Requests(path)[before:] {
		t.Errorf("%s fetched %s again", e.Header.Get("Via"), e.Asked)
	}
}
