package testcluster_test

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/faultorigin"
	"github.com/mccd/mccd/test/testcluster"
)

// Cache-Status tells a client alone what it cost: a miss or a peer's, never
// collapsed with nobody; a hit afterwards; and collapsed to who came second.
func TestCacheStatus(t *testing.T) {
	o, c := served(t, testcluster.Config{}, faultorigin.Object{Path: "/a", Size: size}, faultorigin.Object{Path: "/b", Size: size})
	ctx := timeout(t)
	status := func(n *testcluster.Node, path string) string {
		t.Helper()
		resp, err := ask(ctx, client(), n, host, path, "bytes=0-99")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Fatal(err)
		}
		return resp.Header.Get("Cache-Status")
	}
	owner := c.OwnerOf(ref("/a"), 0)
	other := c.Nodes[0]
	if other == owner {
		other = c.Nodes[1]
	}
	for _, step := range []struct {
		at           *testcluster.Node
		want, detail string
	}{{owner, "fwd=uri-miss", "detail=origin"}, {other, "fwd=uri-miss", "detail=peer"}, {owner, "; hit", ""}, {other, "; hit", ""}} {
		got := status(step.at, "/a")
		if !strings.Contains(got, step.want) || !strings.Contains(got, step.detail) || strings.Contains(got, "collapsed") {
			t.Errorf("got %q, want %s %s", got, step.want, step.detail)
		}
	}

	gate := faultorigin.NewGate()
	o.Script("/b", faultorigin.Behaviour{BodyGate: gate, HoldAfter: storage.BlockSize})
	owner = c.OwnerOf(ref("/b"), 0)
	if got := status(owner, "/b"); strings.Contains(got, "collapsed") {
		t.Errorf("the first: %q", got)
	}
	if got := status(owner, "/b"); !strings.Contains(got, "collapsed") && !strings.Contains(got, "hit") {
		t.Errorf("the second: %q", got)
	}
	gate.Open()
}

// What a request fetched is not told as a hit because it came quickly.
func TestQuickMissIsNoHit(t *testing.T) {
	var objects []faultorigin.Object
	for i := range 30 {
		objects = append(objects, faultorigin.Object{Path: fmt.Sprintf("/small/%d", i), Size: 5000})
	}
	_, c := served(t, testcluster.Config{Nodes: 1}, objects...)
	ctx := timeout(t)
	for _, o := range objects {
		resp, err := ask(ctx, client(), c.Nodes[0], host, o.Path, "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Error(err)
		}
		resp.Body.Close()
		if got := resp.Header.Get("Cache-Status"); !strings.Contains(got, "fwd=uri-miss") {
			t.Errorf("%s: %q", o.Path, got)
		}
	}
}
