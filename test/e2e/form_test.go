package e2e_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mccd/mccd/test/process"
)

// TestJoinSecret: three processes that start at once with one command line,
// `--join a,b,c --join-secret FILE`, form one cluster; the same command line
// starts them again, and brings back one that has lost everything, the first
// of the names too.
func TestJoinSecret(t *testing.T) {
	b := prepareBed(t, setting{nodes: 3, alone: true})
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("a secret of all three, and long enough\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, n := range b.Nodes {
		names = append(names, n.Peer)
	}
	start := func(n *process.Node) {
		t.Helper()
		if err := n.StartAs("serve", "--join", strings.Join(names, ","), "--join-secret", secret); err != nil {
			t.Fatal(err)
		}
	}
	together := func(what string) string {
		t.Helper()
		soon, cancel := context.WithTimeout(b.ctx, time.Minute)
		defer cancel()
		if err := b.Together(soon); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		ring, err := b.SameRing(b.ctx)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %s", what, ring)
		return ring
	}
	clusterID := func() string { return b.status(b.Nodes[0]).Cluster.ID }

	for _, i := range []int{2, 1, 0} {
		start(b.Nodes[i])
	}
	formed := together("all started at once")
	id := clusterID()
	o := b.object("/filestreamingservice/files/formed", 24*mib)
	b.read(o, 2, o.Whole())
	b.once(o)

	b.killAll()
	for _, n := range b.Nodes {
		start(n)
	}
	if again := together("all killed and started again"); again != formed {
		t.Errorf("another ring: %s, not %s", again, formed)
	}

	// The last one first, then the one that may found a cluster.
	for _, i := range []int{2, 0} {
		n := b.Nodes[i]
		// Else it might be the only one that knows what was agreed.
		b.voters(b.Nodes, 3)
		if err := n.Kill(); err != nil {
			t.Fatal(err)
		}
		old := b.status(b.Nodes[1]).Node(n.Name).ID
		if err := n.Wipe(); err != nil {
			t.Fatal(err)
		}
		start(n)
		together(n.Name + " wiped")
		if clusterID() != id {
			t.Fatalf("%s is in another cluster", n.Name)
		}
		if now := b.status(b.Nodes[1]).Node(n.Name); now == nil || now.ID == old {
			t.Errorf("%s is %+v, and was %s", n.Name, now, old)
		}
		sent := b.origin.Ledger().Bytes(o.Path)
		b.read(o, i, o.Whole())
		again := b.origin.Ledger().Bytes(o.Path) - sent
		t.Logf("%d of %d bytes from the origin again", again, o.Size)
		// The last one had read all of it, and has again when the first is
		// wiped.
		if i == 0 && again != 0 {
			t.Error("the last node has all of it")
			b.explain(b.origin.Ledger().Requests(o.Path))
		}
	}
}
