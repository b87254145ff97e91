package peer

import (
	"context"
	"errors"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/faultorigin"
)

// Reads that are given up leave nothing behind, and cost no more than what was
// on its way.
func TestReadsGivenUp(t *testing.T) {
	c := newCluster(t, 3)
	const size = 64 << 20
	path := c.path(0)
	c.origin.Add(faultorigin.Object{Path: path, Size: size})
	c.origin.Script(path, faultorigin.Behaviour{Rate: 8 << 20})
	ctx, cancel := context.WithCancel(within(t, time.Minute))
	var reading sync.WaitGroup
	for _, n := range c.nodes {
		reading.Go(func() {
			req := c.request(path, storage.Span{End: math.MaxInt64})
			req.Whole = true
			if _, err := n.read(ctx, req, "1"); !errors.Is(err, context.Canceled) {
				t.Errorf("given up, and ended with %v", err)
			}
		})
	}
	if err := c.origin.Ledger().WaitBytes(ctx, path, 4<<20); err != nil {
		t.Error(err)
	}
	cancel()
	reading.Wait()
	for _, n := range c.nodes {
		eventually(t, n.id+" is at rest", func() bool { return n.Flights() == 0 && !n.admitted.busy() && n.questions() == 0 })
	}
	if n := c.origin.Ledger().Bytes(path); n >= size/2 {
		t.Errorf("the origin sent %d bytes, the readers took 4 MiB", n)
	}
}

// questions returns the number of questions in progress.
func (n *node) questions() int {
	n.resolving.mu.Lock()
	defer n.resolving.mu.Unlock()
	return len(n.resolving.byKey)
}
