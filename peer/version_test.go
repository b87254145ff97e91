package peer

import (
	"errors"
	"math"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mccd/mccd/ring"
	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/origin"
	"github.com/mccd/mccd/test/faultorigin"
)

// A successor of the home that started before it must get its word in.
func TestChangedVersionAfterHomeDied(t *testing.T) {
	var skew atomic.Int64
	clock := func() time.Time { return time.Now().Add(time.Duration(skew.Load())) }
	c := newCluster(t, 3, func(n *node, cfg *Config) {
		cfg.Now = clock
		cdn, err := origin.New(origin.Config{Now: clock})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cdn.Close() })
		cfg.Origin = cdn
	})
	path := c.path(2, 0) // node 2 is home, and started last
	c.origin.Add(faultorigin.Object{
		Path: path, Size: 100_000, Header: http.Header{"Date": nil, "Cache-Control": {"max-age=60"}},
	})
	ctx := within(t, 30*time.Second)
	req := c.request(path, storage.Span{End: 100_000})
	for i := range 3 {
		if _, err := c.nodes[i].read(ctx, req, "1"); err != nil {
			t.Fatal(err)
		}
	}
	c.kill(2)
	c.see(2, ring.Failed)
	skew.Store(int64(2 * time.Minute))
	c.origin.SetVersion(path, "2")
	for i := range 2 {
		if _, err := c.nodes[i].read(ctx, req, "2"); err != nil {
			t.Errorf("node %d does not serve the new version: %v", i, err)
		}
	}
	if n := len(c.origin.Ledger().Requests(path)); n > 3 {
		t.Errorf("%d requests at the origin for two versions", n)
	}
}

// A version that changes in the middle of a fill is never mixed.
func TestVersionChangesInTheMiddle(t *testing.T) {
	c := newCluster(t, 3)
	const size = 24 << 20
	path := c.path(0)
	c.origin.Add(faultorigin.Object{Path: path, Size: size})
	c.origin.Script(path, faultorigin.Behaviour{Rate: 8 << 20})
	ctx := within(t, 60*time.Second)
	var reading sync.WaitGroup
	for i := range 6 {
		reading.Go(func() {
			req := c.request(path, storage.Span{End: math.MaxInt64})
			req.Whole = true
			n, err := c.nodes[i%3].read(ctx, req, "1")
			if errors.Is(err, errWrong) || err == nil && n != size || err != nil && !errors.Is(err, storage.ErrVersionGone) {
				t.Errorf("reader %d: %d bytes, %v", i, n, err)
			}
		})
	}
	if err := c.origin.Ledger().WaitBytes(ctx, path, size/4); err != nil {
		t.Error(err)
	}
	c.origin.SetVersion(path, "2")
	reading.Wait()
	err := herd(6, func(i int) error {
		req := c.request(path, storage.Span{End: math.MaxInt64})
		req.Whole = true
		_, err := c.nodes[i%3].read(ctx, req, "2")
		return err
	})
	if err != nil {
		t.Errorf("after the change: %v", err)
	}
	if n := c.origin.Ledger().MaxTimes(path); n > 1 {
		t.Errorf("a byte of a version was fetched %d times", n)
	}
}
