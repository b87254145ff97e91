package peer

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/mccd/mccd/test/faultorigin"
)

// A client that asks what the origin says now gets that, at any node, though all
// nodes have fresh records; what has not changed costs no byte.
func TestNotBefore(t *testing.T) {
	c := newCluster(t, 3)
	ctx := within(t, 30*time.Second)
	for i := range c.nodes {
		path := fmt.Sprintf("/demand/%d", i)
		c.origin.Add(faultorigin.Object{Path: path, Size: 1 << 20, Header: http.Header{"Cache-Control": {"max-age=3600"}}})
		req := c.request(path, piece(0))
		all := func(what, version string) {
			t.Helper()
			for k := range c.nodes {
				if k == i {
					continue // it has no record of its own
				}
				if _, err := c.nodes[k].read(ctx, req, version); err != nil {
					t.Errorf("%s, node %d: %v", what, k, err)
				}
			}
		}
		all("first", "1")
		sent := c.origin.Ledger().Bytes(path)
		demand := req
		demand.NotBefore = time.Now()
		if _, err := c.nodes[(i+1)%3].read(ctx, demand, "1"); err != nil {
			t.Error(err)
		}
		if n := c.origin.Ledger().Bytes(path) - sent; n != 0 {
			t.Errorf("%d bytes to confirm a version", n)
		}
		c.origin.SetVersion(path, "2")
		all("nobody has asked", "1")
		asked := len(c.origin.Ledger().Requests(path))
		demand.NotBefore = time.Now()
		if _, err := c.nodes[i].read(ctx, demand, "2"); err != nil {
			t.Errorf("a node without a record: %v", err)
		}
		if err := herd(12, func(k int) error {
			_, err := c.nodes[(i+k)%3].read(ctx, demand, "2")
			return err
		}); err != nil {
			t.Error(err)
		}
		if n := len(c.origin.Ledger().Requests(path)) - asked; n > 4 {
			t.Errorf("%d requests for the demands of 13 clients at 3 nodes", n)
		}
	}
}
