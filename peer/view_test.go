package peer

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/mccd/mccd/ring"
	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/faultorigin"
)

// A requester with the older ring is told so, waits for the newer one and asks
// by it; without one it goes on to the next candidate.
func TestOlderViewCatchesUp(t *testing.T) {
	for name, comes := range map[string]bool{"the newer view comes": true, "it does not": false} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, 3, func(_ *node, cfg *Config) { cfg.CatchUp = 2 * time.Second })
			path := c.pathOf(1)
			const size = 1 << 20
			c.origin.Add(faultorigin.Object{Path: path, Size: size})
			newer, err := ring.New([]ring.Member{{ID: c.nodes[0].id}, {ID: c.nodes[2].id}}) // n1 has left
			if err != nil {
				t.Fatal(err)
			}
			adopt := func(n *node) {
				n.view.Store(ring.NewView(n.id, 2, newer, []ring.Node{
					{ID: c.nodes[0].id, PeerAddr: c.nodes[0].addr}, {ID: c.nodes[2].id, PeerAddr: c.nodes[2].addr},
				}))
			}
			adopt(c.nodes[1])
			adopt(c.nodes[2])
			ctx := within(t, 60*time.Second)
			done := make(chan error, 1)
			go func() {
				_, err := c.nodes[0].read(ctx, c.request(path, storage.Span{End: size}), "1")
				done <- err
			}()
			eventually(t, "the left node is asked", func() bool {
				return testutil.ToFloat64(c.nodes[1].metrics.disagreements) > 0
			})
			want := 1.0
			if comes {
				adopt(c.nodes[0])
				want = 0
			}
			if err := <-done; err != nil {
				t.Error(err)
			}
			if got := testutil.ToFloat64(c.nodes[0].metrics.passed.WithLabelValues("not_owner")); (got > 0) != (want > 0) {
				t.Errorf("passed over %v times as no owner", got)
			}
			if got := c.origin.Ledger().Bytes(path); got != size {
				t.Errorf("the origin sent %d bytes of %d", got, size)
			}
		})
	}
}
