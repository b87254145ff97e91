package peer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/faultorigin"
)

// Clients that read in any order, overtake each other, go away and come back,
// at all nodes, cost each byte once: spans go from flight to flight whole.
func TestOvertakenAndAbandonedOnce(t *testing.T) {
	c := newCluster(t, 3, func(_ *node, cfg *Config) {
		cfg.Silence, cfg.BreakerOpen = time.Minute, 10*time.Minute // nobody is taken for silent on a busy machine
	})
	const size = 24<<20 + 4321
	path := c.path(0)
	c.origin.Add(faultorigin.Object{Path: path, Size: size})
	c.origin.Script(path, faultorigin.Behaviour{Rate: 3 << 20, Delay: 20 * time.Millisecond})
	ctx := within(t, time.Minute)
	err := herd(24, func(i int) error {
		r := rand.New(rand.NewPCG(1, uint64(i)))
		for k := range 8 {
			req := c.request(path, storage.Span{Off: r.Int64N(size), End: math.MaxInt64})
			if req.Whole = k%3 == 0; !req.Whole {
				req.First.End = min(size, req.First.Off+1+r.Int64N(6<<20))
			}
			some, cancel := context.WithTimeout(ctx, time.Duration(r.Int64N(int64(700*time.Millisecond))))
			_, err := c.nodes[i%3].read(some, req, "1")
			cancel()
			if err != nil && !errors.Is(err, context.DeadlineExceeded) {
				return fmt.Errorf("reader %d, %s: %w", i, req.First, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if l := c.origin.Ledger(); l.MaxTimes(path) > 1 {
		t.Errorf("a byte was fetched %d times; %d bytes too many", l.MaxTimes(path), l.Bytes(path)-l.Union(path))
	}
	over := 0.0
	for _, n := range c.nodes {
		over += testutil.ToFloat64(n.metrics.overtakes)
	}
	if over == 0 {
		t.Error("nothing was overtaken")
	}
}

// An object that is to be asked about each time, while it is being fetched: the
// origin is asked whether it is current, not for the bytes that are on their way.
func TestRevalidatedOnItsWay(t *testing.T) {
	c := newCluster(t, 2)
	const size = 3 << 20
	path := c.path(0)
	c.origin.Add(faultorigin.Object{Path: path, Size: size, Header: http.Header{"Cache-Control": {"max-age=0"}}})
	hold := faultorigin.NewGate()
	defer hold.Open()
	c.origin.Script(path, faultorigin.Behaviour{Requests: []int{1}, BodyGate: hold, HoldAfter: 300 << 10})
	ctx := within(t, time30)
	var reading sync.WaitGroup
	read := func(i int) {
		reading.Go(func() {
			if _, err := c.nodes[i].read(ctx, c.request(path, storage.Span{End: size}), "1"); err != nil {
				t.Error(err)
			}
		})
	}
	read(0)
	if err := c.origin.Ledger().WaitBytes(ctx, path, 300<<10); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the object is known", func() bool { return c.nodes[0].cache.Record(c.ref(path).ID()) != nil })
	read(0)
	read(1)
	if err := c.origin.Ledger().WaitRequests(ctx, path, 2); err != nil {
		t.Fatal(err)
	}
	hold.Open()
	reading.Wait()
	if l := c.origin.Ledger(); l.MaxTimes(path) != 1 || l.Bytes(path) != size {
		t.Errorf("the origin sent %d bytes of %d, one %d times", l.Bytes(path), size, l.MaxTimes(path))
	}
}
