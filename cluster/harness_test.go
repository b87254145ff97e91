package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mccd/mccd/cluster/gossip"
	"github.com/mccd/mccd/ring"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of these tests; none of them waits it out.
const patience = 30 * time.Second

func fast() gossip.Timing {
	return gossip.Timing{
		Probe: 100 * time.Millisecond, ProbeTimeout: 80 * time.Millisecond, SuspicionMult: 3,
		Gossip: 20 * time.Millisecond, PushPull: 300 * time.Millisecond, GossipToDead: time.Second,
		Stream: time.Second, RejoinMin: 50 * time.Millisecond, RejoinMax: 300 * time.Millisecond,
	}
}

// node is a running Cluster that a test can end and start again.
type node struct {
	*Cluster
	t     *testing.T
	cfg   Config
	end   context.CancelFunc
	ended chan error
}

func config(t *testing.T, name string) Config {
	t.Helper()
	return Config{
		DataDir: t.TempDir(), Name: name, PeerAddr: "127.0.0.1:7947", Bind: "127.0.0.1:0",
		Settle: 10 * time.Millisecond, Timing: fast(), Logger: slog.New(slog.DiscardHandler),
	}
}

func start(t *testing.T, cfg Config) *node {
	t.Helper()
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	n := &node{Cluster: c, t: t, cfg: cfg, end: end, ended: make(chan error, 1)}
	go func() { n.ended <- c.Run(ctx) }()
	t.Cleanup(n.kill)
	return n
}

// kill ends a node as a crash does for the others: without a word.
func (n *node) kill() {
	if n.end == nil {
		return
	}
	n.end()
	n.end = nil
	if err := <-n.ended; err != nil {
		n.t.Errorf("Run of %s: %v", n.cfg.Name, err)
	}
}

// group starts n nodes that join the first.
func group(t *testing.T, n int, edit func(i int, cfg *Config)) []*node {
	t.Helper()
	var nodes []*node
	for i := range n {
		cfg := config(t, fmt.Sprintf("n%d", i))
		if edit != nil {
			edit(i, &cfg)
		}
		nodes = append(nodes, start(t, cfg))
		if i > 0 {
			nodes[i].join(nodes[0])
		}
	}
	await(t, nodes, "all alive", func(v *ring.View) bool { return count(v, ring.Alive) == n && len(v.Nodes()) == n })
	return nodes
}

func (n *node) join(to *node) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := n.Join(ctx, []string{to.GossipAddr()}); err != nil {
		n.t.Fatal(err)
	}
}

func count(v *ring.View, s ring.State) int {
	k := 0
	for _, n := range v.Nodes() {
		if n.State == s {
			k++
		}
	}
	return k
}

func stateOf(v *ring.View, id string) ring.State {
	if n, ok := v.ByID(id); ok {
		return n.State
	}
	return 99
}

// await waits until the Views of all nodes satisfy ok, and returns the digest
// that they then share.
func await(t *testing.T, nodes []*node, what string, ok func(*ring.View) bool) uint64 {
	t.Helper()
	deadline := time.After(patience)
	for {
		var wg sync.WaitGroup
		late := make(chan string, len(nodes))
		stop := make(chan struct{})
		for _, n := range nodes {
			wg.Go(func() {
				views, cancel := n.Subscribe()
				defer cancel()
				for {
					select {
					case v := <-views:
						if ok(v) {
							return
						}
					case <-stop:
						late <- fmt.Sprintf("%s sees %+v", n.cfg.Name, n.View().Nodes())
						return
					}
				}
			})
		}
		done := make(chan struct{})
		go func() { wg.Wait(); close(done) }()
		select {
		case <-done:
		case <-deadline:
			close(stop)
			<-done
			t.Fatalf("%s: not reached: %s", what, <-late)
		}
		// All were right at some time; now all at once, with one digest?
		digests := make(map[uint64]bool)
		right := true
		for _, n := range nodes {
			v := n.View()
			right = right && ok(v)
			digests[v.Digest()] = true
		}
		if right && len(digests) == 1 {
			return nodes[0].View().Digest()
		}
		select {
		case <-deadline:
			t.Fatalf("%s: %d digests among %d nodes", what, len(digests), len(nodes))
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func without(nodes []*node, out ...*node) []*node {
	return slices.DeleteFunc(slices.Clone(nodes), func(n *node) bool { return slices.Contains(out, n) })
}
