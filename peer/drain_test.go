package peer

import (
	"testing"

	"github.com/mccd/mccd/ring"
)

// A node that stops as planned fails no reader elsewhere, and what it was
// filling for others is not asked of the origin again.
func TestPlannedStopInTheMiddle(t *testing.T) {
	c := newCluster(t, 3)
	extra, _, _ := survivors(t, c, func() {
		c.see(0, ring.Draining)
		c.nodes[0].stop()
		c.see(0, ring.Failed)
	})
	if extra > 0 {
		t.Errorf("the origin sent %d bytes more than the object has", extra)
	}
}
