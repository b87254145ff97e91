package testcluster_test

import (
	"testing"

	"github.com/mccd/mccd/ring"
	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/faultorigin"
	"github.com/mccd/mccd/test/testcluster"
)

// A node that comes back with its disk serves what it had without the origin.
func TestRestartKeepsContent(t *testing.T) {
	o, c := served(t, testcluster.Config{}, faultorigin.Object{Path: "/a", Size: size})
	ctx := timeout(t)
	for _, n := range c.Nodes {
		if err := get(ctx, n, "/a", "1", storage.Span{}); err != nil {
			t.Fatal(err)
		}
	}
	o.Ledger().Reset()
	for _, n := range c.Nodes {
		n.Stop()
	}
	c.Nodes[0].Restart()
	if err := get(ctx, c.Nodes[0], "/a", "1", storage.Span{}); err != nil {
		t.Error(err)
	}
	if sum := o.Ledger().Report(false).Total; sum.Bytes != 0 {
		t.Errorf("the origin was asked for %d bytes", sum.Bytes)
	}
}

// What a live node holds does not come from the origin again when its owner is
// gone, nor when the owner is back with an empty disk.
func TestLostOwnerCostsNoHeldByte(t *testing.T) {
	o, c := served(t, testcluster.Config{}, faultorigin.Object{Path: "/a", Size: size})
	ctx := timeout(t)
	owner := c.OwnerOf(ref("/a"), 0)
	var others []*testcluster.Node
	for _, n := range c.Nodes {
		if n != owner {
			others = append(others, n)
		}
	}
	// One of the others has all; the second has nothing but what it owns.
	if err := get(ctx, others[0], "/a", "1", storage.Span{}); err != nil {
		t.Fatal(err)
	}
	o.Ledger().Reset()
	owner.Stop()
	if err := get(ctx, others[1], "/a", "1", storage.Span{}); err != nil {
		t.Error(err)
	}
	owner.WipeDisk()
	owner.Restart()
	c.AwaitState(ring.Alive, c.Nodes...)
	if err := get(ctx, owner, "/a", "1", storage.Span{}); err != nil {
		t.Error(err)
	}
	if sum := o.Ledger().Report(false).Total; sum.Bytes != 0 {
		t.Errorf("the origin sent %d bytes that live nodes held", sum.Bytes)
	}
}

// Both sides of a partition serve, and agree again after it.
func TestPartitionServes(t *testing.T) {
	o, c := served(t, testcluster.Config{}, faultorigin.Object{Path: "/a", Size: size}, faultorigin.Object{Path: "/b", Size: size})
	ctx := timeout(t)
	c.Partition(c.Nodes[:1], c.Nodes[1:])
	together(t, 6, func(i int) error { return get(ctx, c.Nodes[i%3], "/a", "1", storage.Span{}) })
	if sum := o.Ledger().Report(false).Total; sum.MaxTimes > 2 {
		t.Errorf("two sides fetched some bytes %d times", sum.MaxTimes)
	}
	c.Heal()
	c.AwaitState(ring.Alive, c.Nodes...)
	together(t, 6, func(i int) error { return get(ctx, c.Nodes[i%3], "/b", "1", storage.Span{}) })
	if sum := o.Ledger().Report(false).Paths["/b"]; sum.Union != size {
		t.Errorf("after the partition: %+v", sum)
	}
}
