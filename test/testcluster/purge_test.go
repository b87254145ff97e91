package testcluster_test

import (
	"context"
	"net/http"
	"testing"
	"time"

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
	if err := testcluster.Steady(ctx, func() error { _, err := n.Cluster().Purge(ctx, spec); return err }); err != nil {
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

// until waits for what nothing tells of.
func until(ctx context.Context, t *testing.T, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal(ctx.Err())
		}
	}
}

// A purge of a product hits the hosts that have it and no other, and the list
// tells who has removed what it killed, and who is away.
func TestPurgeOfAProduct(t *testing.T) {
	o, c := served(t, testcluster.Config{}, faultorigin.Object{Path: "/a", Size: size})
	ctx := timeout(t)
	read := func(i int, host, version string) error {
		return getFrom(ctx, c.Nodes[i], host, "/a", version, storage.Span{})
	}
	poison(o, "/a")
	for _, name := range []string{host, updates} {
		together(t, 3, func(i int) error { return read(i, name, "poison") })
	}
	c.Nodes[2].Stop()
	o.Script("/a")
	purge(ctx, t, c.Nodes[0], state.PurgeSpec{Product: updates, Path: "/", Prefix: true})
	// want waits until who has not acknowledged the purge is away, by node 0.
	want := func(away int) {
		t.Helper()
		until(ctx, t, func() bool {
			all, _, err := c.Nodes[0].Cluster().Purges(ctx)
			if err != nil || len(all) != 1 || all[0].Mark.Product != updates {
				t.Fatalf("%+v, %v", all, err)
			}
			return len(all[0].Waiting) == 0 && len(all[0].Away) == away && len(all[0].Done) == 3-away
		})
	}
	want(1)
	together(t, 2, func(i int) error { return read(i, updates, "1") })
	c.Nodes[2].Restart()
	together(t, 3, func(i int) error { return read(i, updates, "1") })
	together(t, 3, func(i int) error { return read(i, host, "poison") })
	want(0)
}

// A node that leaves in the moment of a purge serves nothing of it alone either,
// where no purge of the former cluster counts any more. What it works for keeps it
// from removing what was purged for a while.
func TestLeaverKeepsNothingPurged(t *testing.T) {
	o, c := served(t, testcluster.Config{}, faultorigin.Object{Path: "/a", Size: size}, faultorigin.Object{Path: "/slow", Size: size})
	ctx := timeout(t)
	poison(o, "/a")
	together(t, 3, func(i int) error { return get(ctx, c.Nodes[i], "/a", "poison", storage.Span{}) })
	o.Script("/a")
	gate := faultorigin.NewGate()
	o.Script("/slow", faultorigin.Behaviour{Gate: gate})
	slow := make(chan error, 1)
	go func() { slow <- get(ctx, c.Nodes[2], "/slow", "1", storage.Span{}) }()
	if err := o.Ledger().Wait(ctx, "/slow", func(es []faultorigin.Entry) bool { return len(es) > 0 }); err != nil {
		t.Fatal(err)
	}
	purged := make(chan error, 1)
	go func() {
		purged <- testcluster.Steady(ctx, func() error {
			_, err := c.Nodes[0].Cluster().Purge(ctx, state.PurgeSpec{Host: host, Path: "/a"})
			return err
		})
	}()
	leaver := c.Nodes[2].Cluster()
	until(ctx, t, func() bool { return leaver.State().Purge.Index > 0 })
	left := make(chan error, 1)
	go func() { left <- testcluster.Steady(ctx, func() error { return leaver.Leave(ctx) }) }()
	var err error
	select {
	case err = <-left:
		gate.Open()
	case <-time.After(5 * time.Second): // it waits, or is slow: both are right
		gate.Open()
		err = <-left
	}
	for what, err := range map[string]error{"leave": err, "purge": <-purged, "the slow download": <-slow} {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	together(t, 3, func(i int) error { return get(ctx, c.Nodes[i], "/a", "1", storage.Span{}) })
}
