package peer

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/mccd/mccd/ring"
	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/faultorigin"
)

// epoch is one of the test's cluster.
func epoch(index uint64) ring.Epoch { return ring.Epoch{Cluster: "c1", Generation: 1, Index: index} }

// among publishes a view at e, with only the given nodes as members.
func (n *node) among(e ring.Epoch, members ...int) {
	n.c.t.Helper()
	places := make([]ring.Member, 0, len(members))
	nodes := make([]ring.Node, 0, len(members))
	for _, i := range members {
		other := n.c.nodes[i]
		places = append(places, ring.Member{ID: other.id})
		nodes = append(nodes, ring.Node{ID: other.id, PeerAddr: other.addr, State: n.states[i], Incarnation: max(1, other.starts)})
	}
	r, err := ring.New(places)
	if err != nil {
		n.c.t.Fatal(err)
	}
	n.view.Store(ring.NewView(n.id, e.Index, r, nodes).At(e))
	if n.Filler != nil {
		n.ViewChanged()
	}
}

// learner publishes what it is told, as package cluster does.
type learner struct {
	*node
	told chan ring.Epoch
}

// Learn implements Learner.
func (l *learner) Learn(e ring.Epoch, nodes []ring.Node, members []ring.Member) {
	r, err := ring.New(members)
	if err != nil {
		l.c.t.Error(err)
		return
	}
	l.view.Store(ring.NewView(l.id, e.Index, r, nodes).At(e))
	l.told <- e
}

// A requester with an older epoch is given the newer placement by the node that
// it asks in vain, and goes by it at once.
func TestRequesterLearnsNewerPlacement(t *testing.T) {
	told := make(chan ring.Epoch, 1)
	c := newCluster(t, 3, func(n *node, cfg *Config) {
		if n.i == 0 {
			cfg.Placement = &learner{node: n, told: told}
		}
	})
	path := c.pathOf(1)
	c.origin.Add(faultorigin.Object{Path: path, Size: 1 << 20})
	c.nodes[0].among(epoch(1), 0, 1, 2)
	c.nodes[1].among(epoch(2), 0, 2) // n1 has left
	c.nodes[2].among(epoch(2), 0, 2)
	if _, err := c.nodes[0].read(within(t, 60*time.Second), c.request(path, piece(0)), "1"); err != nil {
		t.Fatal(err)
	}
	select {
	case e := <-told:
		if e != epoch(2) {
			t.Errorf("learned epoch %v", e)
		}
	default:
		t.Error("the newer placement was not handed on")
	}
	if v := c.nodes[0].View(); len(v.Nodes()) != 2 || v.Nodes()[1].PeerAddr != c.nodes[2].addr {
		t.Errorf("the node goes by members %v", v.Nodes())
	}
	if got := testutil.ToFloat64(c.nodes[0].metrics.passed.WithLabelValues("not_owner")); got != 0 {
		t.Errorf("passed over %v times", got)
	}
	if got := c.origin.Ledger().MaxTimes(path); got != 1 {
		t.Errorf("a byte was fetched %d times", got)
	}
}

// A node that is asked by a newer placement waits for its own; where that does
// not come in time it believes the caller.
func TestCalleeCatchesUp(t *testing.T) {
	for name, comes := range map[string]bool{"its own comes": true, "it does not": false} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, 3, func(_ *node, cfg *Config) {
				if comes {
					cfg.CatchUp = 20 * time.Second
				}
			})
			c.nodes[0].among(epoch(2), 0, 1, 2)
			c.nodes[1].among(epoch(1), 0, 2) // n1 does not know yet that it has joined
			c.nodes[2].among(epoch(2), 0, 1, 2)
			path := c.pathOf(1)
			c.origin.Add(faultorigin.Object{Path: path, Size: 1 << 20})
			done := make(chan error, 1)
			go func() {
				_, err := c.nodes[0].read(within(t, 60*time.Second), c.request(path, piece(0)), "1")
				done <- err
			}()
			if comes {
				eventually(t, "the joined node is asked", func() bool { return c.nodes[1].admitted.busy() })
				c.nodes[1].among(epoch(2), 0, 1, 2)
			}
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			if got := c.nodes[1].heldBytes(c.ref(path).ID(), 1<<20); got != 1<<20 {
				t.Errorf("the node that was asked holds %d bytes", got)
			}
			if got := c.origin.Ledger().MaxTimes(path); got != 1 {
				t.Errorf("a byte was fetched %d times", got)
			}
		})
	}
}

// A node of another cluster is not reachable, and nobody gets anything from it.
func TestOtherCluster(t *testing.T) {
	c := newCluster(t, 2)
	path := c.path(1, 0)
	c.origin.Add(faultorigin.Object{Path: path, Size: 1 << 20})
	c.nodes[0].among(epoch(1), 0, 1)
	c.nodes[1].among(ring.Epoch{Cluster: "c2", Generation: 1, Index: 9}, 0, 1)
	for i := range 2 {
		if _, err := c.nodes[i].read(within(t, 60*time.Second), c.request(path, piece(0)), "1"); err != nil {
			t.Errorf("node %d: %v", i, err)
		}
	}
	if got := testutil.ToFloat64(c.nodes[0].metrics.served.WithLabelValues("fill")) + testutil.ToFloat64(c.nodes[1].metrics.served.WithLabelValues("fill")); got != 0 {
		t.Errorf("%v bytes crossed", got)
	}
}

// A node that comes back at another address is reached there, and the id that
// must answer goes with each dial.
func TestMovedNodeIsDialledByID(t *testing.T) {
	type dialled struct{ node, addr string }
	dials := make(chan dialled, 100)
	c := newCluster(t, 2, func(_ *node, cfg *Config) {
		dial := cfg.Dial
		cfg.Dial = func(ctx context.Context, node, addr string) (net.Conn, error) {
			dials <- dialled{node, addr}
			return dial(ctx, node, addr)
		}
	})
	n := c.nodes[1]
	before := n.addr
	path, other := c.path(1), c.pathOf(1, 1)
	for _, p := range []string{path, other} {
		c.origin.Add(faultorigin.Object{Path: p, Size: 1 << 20})
	}
	ctx := within(t, 60*time.Second)
	if _, err := c.nodes[0].read(ctx, c.request(path, piece(0)), "1"); err != nil {
		t.Fatal(err)
	}
	c.kill(1)
	n.listen(anyPort())
	n.start()
	c.see(1, ring.Alive)
	c.nodes[0].ViewChanged()
	if _, err := c.nodes[0].read(ctx, c.request(other, storage.Span{End: 1 << 20}), "1"); err != nil {
		t.Fatal(err)
	}
	if got := testutil.ToFloat64(c.nodes[0].metrics.passed.WithLabelValues("silent")); got != 0 {
		t.Errorf("the moved node was passed over %v times", got)
	}
	addrs := map[string]bool{}
	for range len(dials) {
		if d := <-dials; d.node == n.id {
			addrs[d.addr] = true
		} else if d.addr == before || d.addr == n.addr {
			t.Errorf("dialled %s as %q", d.addr, d.node)
		}
	}
	if !addrs[before] || !addrs[n.addr] {
		t.Errorf("dialled %v for %s", addrs, n.id)
	}
}
