package peer

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/mccd/mccd/ring"
	"github.com/mccd/mccd/test/faultorigin"
)

// stagger gives each node the view of members at its own moment.
func (c *cluster) stagger(rnd *rand.Rand, index uint64, members ...int) {
	for _, i := range rnd.Perm(len(c.nodes)) {
		if c.nodes[i].stop == nil {
			continue
		}
		c.nodes[i].among(epoch(index), members...)
		time.Sleep(time.Duration(rnd.IntN(40)) * time.Millisecond) //nolint:forbidigo // the difference itself
	}
}

// Under load, whatever happens to nodes in good order, with views that come
// late, the origin is asked for nothing that a live node has.
func TestChangesUnderLoad(t *testing.T) {
	const (
		objects = 16
		size    = 1 << 20
	)
	for _, tc := range []struct {
		name   string
		before []int
		// lost tells that what the node was fetching itself is fetched again.
		lost   bool
		change func(t *testing.T, c *cluster, rnd *rand.Rand)
	}{
		{"join", []int{0, 1, 2}, false, func(_ *testing.T, c *cluster, rnd *rand.Rand) {
			c.stagger(rnd, 2, 0, 1, 2, 3)
		}},
		{"leave", []int{0, 1, 2, 3}, false, func(t *testing.T, c *cluster, rnd *rand.Rand) {
			for _, n := range c.nodes {
				n.states[3] = ring.Draining
			}
			c.stagger(rnd, 1, 0, 1, 2, 3)
			if err := c.nodes[3].HandOver(t.Context(), nil); err != nil {
				t.Error(err)
			}
			c.stagger(rnd, 2, 0, 1, 2)
		}},
		{"pause", []int{0, 1, 2, 3}, true, func(_ *testing.T, c *cluster, rnd *rand.Rand) {
			n := c.nodes[3]
			n.wires.freeze()
			time.Sleep(2 * n.cfg.Silence) //nolint:forbidigo // the pause itself
			n.wires.thaw()
			n.ticked.Store(monotonic() - int64(10*n.cfg.Silence))
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			rnd := rand.New(rand.NewPCG(seed, 0))
			c := newCluster(t, 4, func(_ *node, cfg *Config) { cfg.Silence = 600 * time.Millisecond })
			for _, n := range c.nodes {
				n.among(epoch(1), tc.before...)
			}
			c.settle(tc.before...)
			ctx := within(t, 100*time.Second)
			path := func(kind string, k int) string { return fmt.Sprintf("/%s/%s%d", tc.name, kind, k) }
			for k := range objects {
				for _, kind := range []string{"old", "new"} {
					c.origin.Add(faultorigin.Object{Path: path(kind, k), Size: size})
				}
				for i := range 2 { // so that one has it that lives on
					n := c.nodes[tc.before[(k+i)%len(tc.before)]]
					if _, err := n.read(ctx, c.request(path("old", k), piece(0)), "1"); err != nil {
						t.Fatal(err)
					}
					if !tc.lost {
						break
					}
				}
			}
			held := len(c.origin.Ledger().Entries())
			var reading sync.WaitGroup
			for i := range 3 {
				for _, kind := range []string{"old", "new"} {
					order := rnd.Perm(objects)
					reading.Go(func() {
						for _, k := range order {
							if _, err := c.nodes[i].read(ctx, c.request(path(kind, k), piece(0)), "1"); err != nil && !errors.Is(err, errStopped) {
								t.Errorf("node %d: %v", i, err)
							}
							time.Sleep(5 * time.Millisecond) //nolint:forbidigo // the load lasts as long as the change
						}
					})
				}
			}
			tc.change(t, c, rnd)
			reading.Wait()
			twice := int64(0)
			for _, e := range c.origin.Ledger().Entries()[held:] {
				for k := range objects {
					if e.Path == path("old", k) {
						t.Errorf("the origin was asked for %s, which a node has: %+v", e.Path, e)
					}
				}
			}
			for k := range objects {
				if more := c.origin.Ledger().Bytes(path("new", k)) - size; more > 0 {
					twice += more
					t.Logf("%+v", c.origin.Ledger().Requests(path("new", k)))
				}
			}
			// Two nodes that each take themselves for the owner at the moment of
			// their first question may both ask; of more than that moment nothing.
			if most := int64(2 * size); twice > most && !tc.lost {
				t.Errorf("the origin sent %d bytes of new objects twice, want at most %d", twice, most)
			}
		})
	}
}
