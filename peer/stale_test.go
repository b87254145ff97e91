package peer

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/origin"
	"github.com/mccd/mccd/test/faultorigin"
)

// Stale content is served while the origin is away, and only where that is
// allowed.
func TestStaleWhileOriginIsAway(t *testing.T) {
	var mu sync.Mutex
	now := time.Now()
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	c := newCluster(t, 3, func(n *node, cfg *Config) {
		cfg.Now = clock
		cdn, err := origin.New(origin.Config{Now: clock})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cdn.Close() })
		cfg.Origin = cdn
	})
	ctx := within(t, 30*time.Second)
	for i, tt := range []struct {
		cacheControl string
		stale        bool
	}{{"max-age=60", true}, {"max-age=60, must-revalidate", false}, {"no-cache", false}} {
		path := fmt.Sprintf("/stale/%d", i)
		c.origin.Add(faultorigin.Object{Path: path, Size: 1 << 20, Header: http.Header{"Date": nil, "Cache-Control": {tt.cacheControl}}})
		req := c.request(path, piece(0))
		for k := range 3 {
			if _, err := c.nodes[k].read(ctx, req, "1"); err != nil {
				t.Fatal(err)
			}
		}
		mu.Lock()
		now = now.Add(2 * time.Minute)
		mu.Unlock()
		c.origin.Script(path, faultorigin.Behaviour{Drop: true})
		for k := range 3 {
			_, err := c.nodes[k].read(ctx, req, "1")
			if tt.stale && err != nil || !tt.stale && !errors.Is(err, storage.ErrUpstream) {
				t.Errorf("%s: node %d: %v", tt.cacheControl, k, err)
			}
		}
		// When it is back, the version is confirmed once and no byte sent.
		c.origin.Script(path)
		c.origin.Ledger().Reset()
		for k := range 3 {
			if _, err := c.nodes[k].read(ctx, req, "1"); err != nil {
				t.Error(err)
			}
		}
		if n := c.origin.Ledger().Bytes(path); n != 0 {
			t.Errorf("%s: %d bytes to confirm a version", tt.cacheControl, n)
		}
	}
}
