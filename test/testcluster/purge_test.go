package testcluster_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/mccd/mccd/cluster/state"
	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/faultorigin"
	"github.com/mccd/mccd/test/testcluster"
)

// poison has the origin send other bytes of path under the validators of the
// right ones.
func poison(o *faultorigin.Server, path string) {
	right := http.Header{
		"Etag":          {faultorigin.ETag(path, "1")},
		"Last-Modified": {faultorigin.LastModified(path, "1").UTC().Format(http.TimeFormat)},
	}
	o.Script(path, faultorigin.Behaviour{Version: "poison", Header: right})
}

func purge(ctx context.Context, t *testing.T, n *testcluster.Node, spec state.PurgeSpec) {
	t.Helper()
	if _, err := n.Cluster().Purge(ctx, spec); err != nil {
		t.Fatal(err)
	}
}

// What was purged comes back from no node: not from the living, not from one
// that was away meanwhile, though the origin's validator is the same as ever.
func TestPurgeReachesNodesThatWereAway(t *testing.T) {
	o, c := served(t, testcluster.Config{}, faultorigin.Object{Path: "/a", Size: size})
	ctx := timeout(t)
	poison(o, "/a")
	together(t, 3, func(i int) error { return get(ctx, c.Nodes[i], "/a", "poison", storage.Span{}) })
	c.Nodes[2].Stop()

	o.Script("/a")
	purge(ctx, t, c.Nodes[0], state.PurgeSpec{Host: host, Path: "/a"})
	o.Ledger().Reset()
	together(t, 2, func(i int) error { return get(ctx, c.Nodes[i], "/a", "1", storage.Span{}) })
	c.Nodes[2].Restart()
	together(t, 3, func(i int) error { return get(ctx, c.Nodes[i], "/a", "1", storage.Span{}) })
	if got := o.Ledger().Report(false).Paths["/a"]; got.Union != size {
		t.Errorf("origin sent %d different bytes after the purge, want all %d again", got.Union, size)
	}
}

// A node that joins keeps what it has cached, but brings back nothing that the
// cluster has purged, and what it keeps does not hide from later purges.
func TestJoinerBringsNothingPurgedBack(t *testing.T) {
	o, c := served(t, testcluster.Config{Nodes: 2},
		faultorigin.Object{Path: "/a", Size: size}, faultorigin.Object{Path: "/b", Size: size})
	ctx := timeout(t)
	n := c.Alone()
	poison(o, "/a")
	poison(o, "/b")
	for _, path := range []string{"/a", "/b"} {
		if err := get(ctx, n, path, "poison", storage.Span{}); err != nil {
			t.Fatal(err)
		}
	}
	o.Script("/a")
	o.Script("/b")
	purge(ctx, t, c.Nodes[0], state.PurgeSpec{Host: host, Path: "/a"})
	c.Join(n)
	o.Ledger().Reset()
	together(t, 3, func(i int) error { return get(ctx, c.Nodes[i], "/a", "1", storage.Span{}) })
	together(t, 3, func(i int) error { return get(ctx, c.Nodes[i], "/b", "poison", storage.Span{}) })
	if sent := o.Ledger().Report(false).Paths["/b"].Bytes; sent != 0 {
		t.Errorf("origin sent %d bytes of what the newcomer holds", sent)
	}
	purge(ctx, t, n, state.PurgeSpec{Host: host, Path: "/", Prefix: true})
	together(t, 3, func(i int) error { return get(ctx, c.Nodes[i], "/b", "1", storage.Span{}) })
}
