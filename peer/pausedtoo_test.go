package peer

import (
	"fmt"
	"testing"
	"time"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/faultorigin"
)

// Nodes that all stood still at one time, as those on one host do, do not act in
// each other's place: each byte comes once.
func TestAllStoodStill(t *testing.T) {
	c := newCluster(t, 3, func(_ *node, cfg *Config) {
		cfg.Silence, cfg.BreakerOpen = time.Minute, 10*time.Minute // nobody is taken for silent on a busy machine
	})
	c.settle()
	var paths []string
	for k := 0; len(paths) < 24; k++ {
		path := fmt.Sprintf("/still/%d.bin", k)
		c.origin.Add(faultorigin.Object{Path: path, Size: 9 << 20})
		c.origin.Script(path, faultorigin.Behaviour{Delay: 50 * time.Millisecond})
		paths = append(paths, path)
	}
	for _, n := range c.nodes {
		n.paused.Store(monotonic())
		n.seenDead()
	}
	ctx := within(t, time.Minute)
	err := herd(len(paths)*len(c.nodes), func(i int) error {
		path := paths[i/len(c.nodes)]
		for _, span := range []storage.Span{piece(0), {Off: 8 << 20, End: 9 << 20}} {
			if _, err := c.nodes[i%len(c.nodes)].read(ctx, c.request(path, span), "1"); err != nil {
				return fmt.Errorf("%s %s at n%d: %w", path, span, i%len(c.nodes), err)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	for _, n := range c.nodes {
		if !n.stoodStill() {
			t.Fatal("the time in which a node passes itself over has ended too early")
		}
	}
	twice := 0
	for _, path := range paths {
		if c.origin.Ledger().MaxTimes(path) > 1 {
			twice++
		}
	}
	if twice > 0 {
		t.Errorf("%d of %d objects were fetched twice", twice, len(paths))
	}
}
