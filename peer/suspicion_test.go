package peer

import (
	"testing"
	"time"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/faultorigin"
)

// suspectFor has node i take node of for silent and not ask it for an hour.
func (c *cluster) suspectFor(i, of int) *link {
	c.t.Helper()
	links := c.nodes[i].links
	node, _ := c.nodes[i].View().ByID(c.nodes[of].id)
	links.usable(node) // knows its incarnation
	k, err := links.to(node)
	if err != nil {
		c.t.Fatal(err)
	}
	links.suspect(k)
	k.mu.Lock()
	k.due, k.wait = monotonic()+int64(time.Hour), time.Hour
	k.mu.Unlock()
	if links.usable(node) {
		c.t.Fatal("it is asked all the same")
	}
	return k
}

// A node that was killed and is back before anyone saw it dead is asked again
// when it asks for inventories, as each that starts does: what it holds is not
// fetched again.
func TestReturnedBeforeSeenDead(t *testing.T) {
	c := newCluster(t, 3)
	path := c.path(1, 2, 0)
	c.origin.Add(faultorigin.Object{Path: path, Size: 3 << 20})
	ctx := within(t, 60*time.Second)
	req := c.request(path, storage.Span{End: 3 << 20})
	if _, err := c.nodes[1].read(ctx, req, "1"); err != nil {
		t.Fatal(err)
	}
	c.kill(1)
	k := c.suspectFor(0, 1)
	c.nodes[1].again()
	eventually(t, "node 0 notices the return", func() bool { // the others' views stay as they are
		k.mu.Lock()
		defer k.mu.Unlock()
		return k.due == 0
	})
	if _, err := c.nodes[0].read(ctx, req, "1"); err != nil {
		t.Fatal(err)
	}
	if n := c.origin.Ledger().MaxTimes(path); n != 1 {
		t.Errorf("a byte was fetched %d times", n)
	}
}

// A suspect of which a view tells another incarnation, or which a new view
// holds for alive, is asked at its next use.
func TestSuspectSaidToBeBack(t *testing.T) {
	c := newCluster(t, 3)
	links := c.nodes[0].links
	node, _ := c.nodes[0].View().ByID("n1")
	c.suspectFor(0, 1)
	started := *node
	started.Incarnation++
	if !links.usable(&started) {
		t.Error("another incarnation is not asked")
	}
	c.suspectFor(0, 2)
	c.nodes[0].look()
	if node, _ := c.nodes[0].View().ByID("n2"); !links.usable(node) {
		t.Error("it is not asked after the view changed")
	}
}
