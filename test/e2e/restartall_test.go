package e2e_test

import (
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/mccd/mccd/cluster/state"
	"github.com/mccd/mccd/test/process/herd"
)

// kept is what a cluster must not lose when all of it is killed at once.
type kept struct {
	ring   string
	config state.Config
	nodes  string
}

// keep returns what the cluster has now, the same at every node.
func (b *bed) keep() kept {
	b.Helper()
	if _, err := b.Leader(b.ctx); err != nil {
		b.Fatal(err)
	}
	ring, err := b.SameRing(b.ctx)
	if err != nil {
		b.Fatal(err)
	}
	var k kept
	for _, n := range b.Nodes {
		cfg := b.config(n)
		var nodes strings.Builder
		for _, m := range b.status(n).Nodes {
			nodes.WriteString(m.ID + " " + m.Name + " " + m.Stage + "\n")
		}
		one := kept{ring, cfg, nodes.String()}
		if k.ring != "" && (one.nodes != k.nodes || one.config.Revision != k.config.Revision) {
			b.Errorf("%s has %+v, others %+v", n.Name, one, k)
		}
		k = one
	}
	return k
}

// expectKept compares with what was before, reads all of o at every node and
// expects not a byte from the origin.
func (b *bed) expectKept(before kept, o *herd.Object) {
	b.Helper()
	after := b.keep()
	if after.ring != before.ring || after.nodes != before.nodes {
		b.Errorf("ring and nodes:\n%s\n%s\nbefore:\n%s\n%s", after.ring, after.nodes, before.ring, before.nodes)
	}
	if after.config.Revision != before.config.Revision || after.config.Limits != before.config.Limits {
		b.Errorf("configuration %+v, before %+v", after.config, before.config)
	}
	sent := b.origin.Ledger().Bytes("")
	for i := range b.Nodes {
		b.read(o, i, o.Whole())
	}
	again := b.origin.Ledger().Bytes("") - sent
	b.Logf("%s, configuration %d; %d bytes from the origin", after.ring, after.config.Revision, again)
	if again != 0 {
		b.Errorf("the origin sent %d bytes again", again)
	}
	// It can be written again.
	b.canWrite(electLimit, b.Nodes[len(b.Nodes)-1], after.config.Limits.WANBytesPerSecond+1)
}

// killAll kills all nodes, as quickly as signals go.
func (b *bed) killAll() {
	b.Helper()
	for _, n := range b.Nodes {
		if err := n.Kill(); err != nil {
			b.Fatal(err)
		}
	}
}

// TestRestartAll: all five nodes are killed at once and started in any order:
// where they were, on new addresses with one of them named, and on new
// addresses with a name for a seed. Cluster, configuration, ring and content
// are the same.
func TestRestartAll(t *testing.T) {
	b := newBed(t, setting{nodes: 5})
	o := b.object("/filestreamingservice/files/all", 48*mib)
	for i := range b.Nodes {
		b.read(o, i, o.Whole())
	}
	b.once(o)
	b.canWrite(electLimit, b.Nodes[3], 12345678)
	seed := uint64(time.Now().UnixNano())
	t.Logf("order by seed %d", seed)
	order := rand.New(rand.NewPCG(seed, 0))
	// readdress gives all nodes new addresses and them all one seed.
	readdress := func(t *testing.T, seed func() string) {
		for _, n := range b.Nodes {
			if err := n.Readdress(); err != nil {
				t.Fatal(err)
			}
		}
		for _, n := range b.Nodes {
			if err := n.Configure(func(settings map[string]any) {
				settings["join"] = []string{seed()}
				delete(settings, "token_file")
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, c := range []struct {
		what   string
		change func(t *testing.T)
	}{
		{"where they were", func(*testing.T) {}},
		{"new addresses, one named", func(t *testing.T) { readdress(t, func() string { return b.Nodes[2].Peer }) }},
		// Node 1 is the one at 127.0.0.1.
		{"new addresses, a seed by name", func(t *testing.T) {
			readdress(t, func() string {
				_, port, _ := net.SplitHostPort(b.Nodes[0].Peer)
				return "localhost:" + port
			})
		}},
	} {
		t.Run(c.what, func(t *testing.T) {
			b := b.under(t)
			before := b.keep()
			b.killAll()
			c.change(t)
			begun := time.Now()
			if err := b.StartAll(b.ctx, order.Perm(len(b.Nodes))); err != nil {
				t.Fatal(err)
			}
			t.Logf("together after %v", time.Since(begun).Round(time.Millisecond))
			b.expectKept(before, o)
		})
	}
}
