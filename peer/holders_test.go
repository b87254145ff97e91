package peer

import (
	"fmt"
	"math"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/mccd/mccd/peer/holders"
	"github.com/mccd/mccd/ring"
	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/disk"
	"github.com/mccd/mccd/storage/origin"
	"github.com/mccd/mccd/test/faultorigin"
)

// settle waits until every given node knows what the others hold.
func (c *cluster) settle(nodes ...int) {
	c.t.Helper()
	if nodes == nil {
		for i := range c.nodes {
			nodes = append(nodes, i)
		}
	}
	for _, i := range nodes {
		eventually(c.t, fmt.Sprintf("node %d is told what others hold", i), c.nodes[i].Settled)
	}
}

// whole is a request for all of path.
func (c *cluster) whole(path string) storage.Request {
	req := c.request(path, storage.Span{End: math.MaxInt64})
	req.Whole = true
	return req
}

// asked returns how many PROBEs the nodes have sent.
func (c *cluster) asked() (n float64) {
	for _, node := range c.nodes {
		n += testutil.ToFloat64(node.metrics.probes)
	}
	return n
}

// A cluster in which all have told what they hold fills a new object without
// asking anybody, and what was filled is known from then on.
func TestSettledClusterAsksNobody(t *testing.T) {
	c := newCluster(t, 3)
	c.settle()
	const size = 20 << 20
	path := c.pathOf(0, 1, 2)
	c.origin.Add(faultorigin.Object{Path: path, Size: size})
	ctx := within(t, 60*time.Second)
	for i := range 3 {
		if _, err := c.nodes[i].read(ctx, c.whole(path), "1"); err != nil {
			t.Errorf("node %d: %v", i, err)
		}
	}
	if got := c.asked(); got != 0 {
		t.Errorf("%v PROBEs were sent", got)
	}
	for _, n := range c.nodes {
		if got := testutil.ToFloat64(n.metrics.lookups); got != 0 {
			t.Errorf("%s asked others for %v records", n.id, got)
		}
	}
	if got := c.origin.Ledger().MaxTimes(path); got != 1 {
		t.Errorf("a byte was fetched %d times", got)
	}
	key := storage.ChunkKey{Object: c.ref(path).ID(), Version: c.nodes[0].cache.Record(c.ref(path).ID()).Version.ID()}
	found := c.nodes[0].book.Find(key)
	for _, i := range []int{1, 2} {
		if found.MayHold(c.nodes[i].id) || found.Known[c.nodes[i].id].Count() != storage.BlocksPerChunk {
			t.Errorf("the owner knows of %d blocks at node %d", found.Known[c.nodes[i].id].Count(), i)
		}
	}
}

// An owner that lost its drive's bytes takes them from whom it served.
func TestOwnerTakesBackWhatItGave(t *testing.T) {
	c := newCluster(t, 3)
	const size = 12 << 20
	path := c.pathOf(0, 0)
	c.origin.Add(faultorigin.Object{Path: path, Size: size})
	ctx := within(t, 60*time.Second)
	if _, err := c.nodes[2].read(ctx, c.whole(path), "1"); err != nil {
		t.Fatal(err)
	}
	before := len(c.origin.Ledger().Requests(path))
	// It returns with an empty drive, as another incarnation.
	c.kill(0)
	n := c.nodes[0]
	n.dir = t.TempDir()
	n.listen(n.addr)
	n.start()
	c.see(0, ring.Alive)
	c.settle()
	if _, err := n.read(ctx, c.whole(path), "1"); err != nil {
		t.Fatal(err)
	}
	if got := len(c.origin.Ledger().Requests(path)) - before; got != 0 {
		t.Errorf("the origin was asked %d times for what a node has", got)
	}
	if got := c.asked(); got != 0 {
		t.Errorf("%v PROBEs were sent: the inventory should have told", got)
	}
}

// A join, a leave, a failure and a restart of all cost the origin nothing that
// any live node has.
func TestChangesCostNothing(t *testing.T) {
	for _, settled := range []bool{true, false} {
		t.Run(fmt.Sprintf("settled %t", settled), func(t *testing.T) {
			c := newCluster(t, 4)
			const size = 30 << 20
			path := c.pathOf(3, 0, 3, 1)
			c.origin.Add(faultorigin.Object{Path: path, Size: size})
			ctx := within(t, 100*time.Second)
			view := func(index uint64, members ...int) {
				for _, n := range c.nodes {
					n.among(epoch(index), members...)
				}
				if settled {
					c.settle(members...)
				}
			}
			readAll := func(what string, nodes ...int) {
				t.Helper()
				err := herd(len(nodes), func(i int) error {
					_, err := c.nodes[nodes[i]].read(ctx, c.whole(path), "1")
					return err
				})
				if err != nil {
					t.Errorf("%s: %v", what, err)
				}
				if got := c.origin.Ledger().MaxTimes(path); got != 1 {
					t.Fatalf("%s: a byte was fetched %d times", what, got)
				}
			}
			view(1, 0, 1, 2)
			readAll("three", 0)
			view(2, 0, 1, 2, 3)
			readAll("the fourth joined", 3)
			view(3, 1, 2, 3) // n0 has left
			readAll("the first left", 2)
			c.kill(3)
			c.see(3, ring.Failed)
			view(4, 1, 2, 3)
			readAll("an owner failed", 1)
			for _, i := range []int{1, 2} {
				c.nodes[i].wires.cut()
				c.nodes[i].stop()
				c.nodes[i].listen(c.nodes[i].addr)
				c.nodes[i].start()
			}
			view(5, 1, 2, 3)
			readAll("all were restarted", 1, 2)
		})
	}
}

// What a holder no longer has is not taken for a loss of all.
func TestStaleHolder(t *testing.T) {
	c := newCluster(t, 3)
	c.settle()
	path := c.path(0, 2, 1)
	c.origin.Add(faultorigin.Object{Path: path, Size: 1 << 20})
	ctx := within(t, 60*time.Second)
	if _, err := c.nodes[1].read(ctx, c.request(path, piece(0)), "1"); err != nil {
		t.Fatal(err)
	}
	key := storage.ChunkKey{Object: c.ref(path).ID(), Version: c.nodes[0].cache.Record(c.ref(path).ID()).Version.ID()}
	n := c.nodes[0]
	c.kill(0)
	n.dir = t.TempDir()
	n.listen(n.addr)
	n.start()
	c.see(0, ring.Alive)
	c.settle()
	// n2, which is asked first, is said to hold the chunk and does not; n1 does.
	n.book.Learn("n2", holders.Held{Key: key, Have: blocksOf(disk.Bitmap{}, piece(0))})
	if _, err := n.read(ctx, c.request(path, piece(0)), "1"); err != nil {
		t.Fatal(err)
	}
	if got := c.origin.Ledger().MaxTimes(path); got != 1 {
		t.Errorf("a byte was fetched %d times", got)
	}
	if found := n.book.Find(key); !found.Known["n2"].Empty() {
		t.Error("the stale holder is still known")
	}
}

// A pause of its own makes a node ask again, before it asks the origin.
func TestOwnPauseTakesMarksBack(t *testing.T) {
	c := newCluster(t, 2)
	c.settle()
	n := c.nodes[0]
	before := testutil.ToFloat64(n.metrics.inventories.WithLabelValues("ok"))
	n.ticked.Store(monotonic() - int64(10*n.cfg.Silence))
	n.noticePause()
	eventually(t, "it asks again", func() bool {
		return testutil.ToFloat64(n.metrics.inventories.WithLabelValues("ok")) > before && n.Settled()
	})
}

// A node that fetched in the owner's place tells the owner.
func TestFetchedInTheOwnersPlace(t *testing.T) {
	c := newCluster(t, 3, func(_ *node, cfg *Config) { cfg.BreakerOpen = 50 * time.Millisecond })
	path := c.path(0, 1, 2)
	c.origin.Add(faultorigin.Object{Path: path, Size: 1 << 20})
	ctx := within(t, 60*time.Second)
	c.settle()
	// n2 alone takes n0 for dead: n1 acts for it, though by its own view it does not.
	c.nodes[2].states[0] = ring.Failed
	c.nodes[2].look()
	eventually(t, "the owner was not heard for a while", func() bool {
		return !c.nodes[2].links.lively(c.nodes[2].View().Node(0))
	})
	if _, err := c.nodes[2].read(ctx, c.request(path, piece(0)), "1"); err != nil {
		t.Fatal(err)
	}
	id := c.ref(path).ID()
	key := storage.ChunkKey{Object: id, Version: c.nodes[2].cache.Record(id).Version.ID()}
	eventually(t, "the owner is told", func() bool {
		found := c.nodes[0].book.Find(key)
		return !found.Known["n1"].Empty()
	})
	c.nodes[2].states[0] = ring.Alive
	c.nodes[2].look()
	c.settle()
	if _, err := c.nodes[0].read(ctx, c.request(path, piece(0)), "1"); err != nil {
		t.Fatal(err)
	}
	if got := c.origin.Ledger().MaxTimes(path); got != 1 {
		t.Errorf("a byte was fetched %d times", got)
	}
}

// One holder among many is found, also before anybody has told anything.
func TestOneHolderAmongMany(t *testing.T) {
	quiet := func(_ *node, cfg *Config) { cfg.Store = unindexed{cfg.Store} }
	c := newCluster(t, 20, quiet)
	path := c.path(0)
	c.origin.Add(faultorigin.Object{Path: path, Size: 1 << 20})
	ctx := within(t, 60*time.Second)
	order := c.ring.Lookup(storage.PlacementHash(c.ref(path).ID(), 0))
	last := 0 // a node that is on nobody's list
	for i := range c.nodes {
		on := false
		for _, k := range order {
			on = on || c.ring.Members()[k].ID == c.nodes[i].id
		}
		if !on {
			last = i
		}
	}
	if _, err := c.nodes[last].read(ctx, c.request(path, piece(0)), "1"); err != nil {
		t.Fatal(err)
	}
	c.kill(0)
	c.see(0, ring.Failed)
	other := (last + 1) % 20
	if other == 0 {
		other = 1
	}
	if _, err := c.nodes[other].read(ctx, c.request(path, piece(0)), "1"); err != nil {
		t.Fatal(err)
	}
	if got := c.origin.Ledger().MaxTimes(path); got != 1 {
		t.Errorf("a byte was fetched %d times", got)
	}
}

// unindexed is a Store whose start scan does not end.
type unindexed struct{ Store }

// Indexed implements Lister.
func (unindexed) Indexed() <-chan struct{} { return nil }

// A home that returns with an older record takes the newer one from who was
// home meanwhile, and asks no origin.
func TestReturnedHome(t *testing.T) {
	var skew atomic.Int64
	clock := func() time.Time { return time.Now().Add(time.Duration(skew.Load())) }
	skewed := func(_ *node, cfg *Config) {
		cdn, err := origin.New(origin.Config{Now: clock})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cdn.Close() })
		cfg.Now, cfg.Origin = clock, cdn
	}
	c := newCluster(t, 3, skewed)
	path := c.path(0, 1, 2)
	c.origin.Add(faultorigin.Object{
		Path: path, Size: 100_000, Header: http.Header{"Date": nil, "Cache-Control": {"max-age=60"}},
	})
	ctx := within(t, 60*time.Second)
	req := c.request(path, storage.Span{End: 100_000})
	for i := range 3 {
		if _, err := c.nodes[i].read(ctx, req, "1"); err != nil {
			t.Fatal(err)
		}
	}
	c.kill(0)
	c.see(0, ring.Failed)
	skew.Store(int64(2 * time.Minute))
	c.origin.SetVersion(path, "2")
	if _, err := c.nodes[1].read(ctx, req, "2"); err != nil {
		t.Fatal(err)
	}
	before := len(c.origin.Ledger().Requests(path))
	n := c.nodes[0]
	n.listen(n.addr)
	n.start(skewed)
	c.see(0, ring.Alive)
	for i := range 3 {
		if _, err := c.nodes[i].read(ctx, req, "2"); err != nil {
			t.Errorf("node %d: %v", i, err)
		}
	}
	if got := len(c.origin.Ledger().Requests(path)) - before; got != 0 {
		t.Errorf("the origin was asked %d times for what a node knows", got)
	}
}
