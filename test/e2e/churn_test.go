package e2e_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/mccd/mccd/test/process"
	"github.com/mccd/mccd/test/process/herd"
)

// churn is a cluster that changes under load: nothing that a live node holds
// comes from the origin again.
type churn struct {
	*bed
	load *load
	held []*herd.Object
}

// newChurn starts nodes and clients that read what is held: each object was
// read at the nodes that readers names for it.
func newChurn(t *testing.T, nodes int, readers func(i int) []int) *churn {
	t.Helper()
	s := seed(t)
	b := newBed(t, setting{nodes: nodes})
	c := &churn{bed: b, held: b.objectsNamed("held", 6, chaosObject)}
	// More chunks than one per node, so that each owns some.
	c.held = append(c.held, b.objectsNamed("large", 1, 96*mib)...)
	for i, o := range c.held {
		for _, k := range readers(i) {
			b.read(o, k, o.Whole())
		}
	}
	b.onceEach(c.held)
	c.load = b.download(6, s, c.held[:6]...)
	return c
}

// everywhere is the readers of an object that every node holds a copy of.
func everywhere(nodes int) func(int) []int {
	all := make([]int, nodes)
	for i := range all {
		all[i] = i
	}
	return func(int) []int { return all }
}

// reread reads all that is held at each of nodes, and says what the origin sent
// for it.
func (c *churn) reread(what string, nodes ...*process.Node) {
	c.Helper()
	before := c.origin.Ledger().Bytes("")
	c.readAt(nodes, c.held)
	c.Logf("%s: %d origin bytes for reading %d objects at %d nodes", what, c.origin.Ledger().Bytes("")-before, len(c.held), len(nodes))
}

// end ends the load: all that is held came once.
func (c *churn) end() {
	c.Helper()
	c.load.end()
	c.onceEach(c.held)
	c.Logf("origin bytes for what live nodes hold: %d", c.origin.Ledger().Bytes("")-c.origin.Ledger().Union(""))
}

// others returns all nodes but n.
func (c *churn) others(n *process.Node) []*process.Node {
	return slices.DeleteFunc(slices.Clone(c.Nodes), func(o *process.Node) bool { return o == n })
}

// TestJoinUnderLoad: a fourth node enters, gets its share of the partitions and
// finds what others hold of it.
func TestJoinUnderLoad(t *testing.T) {
	c := newChurn(t, 3, func(i int) []int { return []int{i % 3} })
	joined, err := c.Add(nil)
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	if err := joined.Restart(c.ctx); err != nil {
		t.Fatal(err)
	}
	// At once, before all nodes have heard of it.
	c.reread("at the new node, at once", joined)
	if err := c.Together(c.ctx); err != nil {
		t.Fatal(err)
	}
	t.Logf("four nodes with one ring %v after the start of the fourth", time.Since(begun).Round(time.Millisecond))
	c.load.only(c.Nodes...)
	c.load.more(electLimit, 16*mib)
	c.reread("at all four", c.Nodes...)
	c.end()
}

// TestLeaveUnderLoad: a node leaves that alone holds what it owns. It gives
// that to the others first; then it is gone.
func TestLeaveUnderLoad(t *testing.T) {
	c := newChurn(t, 4, func(int) []int { return []int{victim} })
	leaver := c.Nodes[victim]
	rest := c.others(leaver)
	c.load.only(rest...)
	begun := time.Now()
	out := c.command(0, leaver, "leave", "--yes")
	t.Logf("mccd leave took %v: %s", time.Since(begun).Round(time.Millisecond), out)
	if err := leaver.Members(c.ctx, 1); err != nil {
		t.Error(err)
	}
	if err := leaver.Stop(c.ctx); err != nil {
		t.Error(err)
	}
	c.gone(len(rest), rest)
	c.reread("at the three that stay", rest...)
	c.end()
}

// gone waits until nodes count this many members in the ring.
func (c *churn) gone(members int, nodes []*process.Node) {
	c.Helper()
	for _, n := range nodes {
		if err := n.Await(c.ctx, func(s *process.Status) error {
			if s.Active() != members {
				return fmt.Errorf("%d members", s.Active())
			}
			return nil
		}); err != nil {
			c.Fatalf("%s: %v", n.Name, err)
		}
	}
}

// TestReplaceUnderLoad: a node is dead for good; one with its name, and nothing
// else of it, takes its place.
func TestReplaceUnderLoad(t *testing.T) {
	c := newChurn(t, 3, everywhere(3))
	dead := c.Nodes[victim]
	was, err := dead.Status(c.ctx)
	if err != nil {
		t.Fatal(err)
	}
	c.kill(c.load, dead)
	if err := dead.Wipe(); err != nil {
		t.Fatal(err)
	}
	rest := c.others(dead)
	c.load.only(rest...)
	// A name is given to another node only once its bearer is seen dead.
	for _, n := range rest {
		if err := n.Members(c.ctx, len(rest)); err != nil {
			t.Fatal(err)
		}
	}
	begun := time.Now()
	if err := dead.Restart(c.ctx); err != nil {
		t.Fatal(err)
	}
	c.load.comesUp(dead)
	c.reread("at the replacement, at once", dead)
	if err := c.Together(c.ctx); err != nil {
		t.Fatal(err)
	}
	is, err := dead.Status(c.ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s is node %.8s now, was %.8s; three nodes with one ring %v after its start", dead.Name, is.NodeID, was.NodeID, time.Since(begun).Round(time.Millisecond))
	if is.NodeID == was.NodeID || is.Active() != 3 {
		t.Errorf("%d members, node id %s, was %s", is.Active(), is.NodeID, was.NodeID)
	}
	c.load.only(c.Nodes...)
	c.reread("at all", c.Nodes...)
	c.end()
}

// TestPauseUnderLoad: a node stands still until all take it for dead, and goes
// on. What others fetched meanwhile, also of its partitions, it asks them for.
func TestPauseUnderLoad(t *testing.T) {
	c := newChurn(t, 3, everywhere(3))
	paused := c.Nodes[victim]
	rest := c.others(paused)
	c.load.goesDown(paused)
	if err := paused.Pause(); err != nil {
		t.Skip(err)
	}
	begun := time.Now()
	for _, n := range rest {
		if err := n.Members(c.ctx, len(rest)); err != nil {
			t.Fatal(err)
		}
	}
	meanwhile := append(c.objectsNamed("meanwhile", 2, chaosObject), c.objectsNamed("meanwhile-large", 1, 48*mib)...)
	c.readAt(rest[:1], meanwhile)
	c.held = append(c.held, meanwhile...)
	lasted := time.Since(begun)
	if err := paused.Resume(); err != nil {
		t.Fatal(err)
	}
	// At once, before it has heard anything.
	c.reread("at the node that stood still, at once", paused)
	if err := c.Together(c.ctx); err != nil {
		t.Fatal(err)
	}
	c.load.comesUp(paused)
	t.Logf("stood still for %v; all alive again %v after it went on", lasted.Round(time.Millisecond), (time.Since(begun) - lasted).Round(time.Millisecond))
	ctx, cancel := context.WithTimeout(c.ctx, healLimit)
	defer cancel()
	if _, err := c.SameRing(ctx); err != nil {
		t.Error(err)
	}
	c.reread("at all", c.Nodes...)
	c.end()
}
