package cluster

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/mccd/mccd/ring"
)

// TestDetectionTime prints how long a death goes unnoticed with the default
// timing; it asserts only that it is noticed.
func TestDetectionTime(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds by its nature")
	}
	nodes := group(t, 3, func(_ int, cfg *Config) {
		probe := cfg.Timing.RejoinMin
		cfg.Timing = Config{}.Timing
		cfg.Timing.RejoinMin = probe
	})
	start := time.Now()
	nodes[2].kill()
	await(t, nodes[:2], "failed", func(v *ring.View) bool { return stateOf(v, nodes[2].ID()) == ring.Failed })
	t.Logf("3 nodes, default timing: failed in all views after %v", time.Since(start).Round(10*time.Millisecond))
}

// TestSubscribe: the present View comes at once, then the latest; a cancelled
// subscription gets nothing more, and nobody is waited for.
func TestSubscribe(t *testing.T) {
	n := start(t, config(t, "n"))
	views, cancel := n.Subscribe()
	first := <-views
	if first != n.View() {
		t.Fatal("the first is not the present View")
	}
	other, cancelOther := n.Subscribe()
	<-other
	cancelOther()
	// Two changes, nobody reading.
	for _, draining := range []bool{true, false} {
		n.SetDraining(draining)
		want := ring.Alive
		if draining {
			want = ring.Draining
		}
		await(t, []*node{n}, "state", func(v *ring.View) bool { return v.Nodes()[0].State == want })
	}
	if v := <-views; v != n.View() || v.Serial != first.Serial+2 {
		t.Errorf("got view %d, the latest is %d, the first was %d", v.Serial, n.View().Serial, first.Serial)
	}
	select {
	case v := <-other:
		t.Errorf("a cancelled subscription got view %d", v.Serial)
	default:
	}
	cancel()
}

// TestNoViewWithoutNews: what changes nothing publishes nothing.
func TestNoViewWithoutNews(t *testing.T) {
	n := start(t, config(t, "n"))
	v := n.View()
	for range 3 {
		if err := n.publish(); err != nil {
			t.Fatal(err)
		}
	}
	if n.View() != v {
		t.Fatal("a View without news was published")
	}
}

func TestRingsAreKept(t *testing.T) {
	n, err := New(config(t, "n")) // not running: rings is this test's alone
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = n.Close() }()
	a, err := n.ringOf([]ring.Member{{ID: id(1), Weight: 1}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range ringsKept - 1 {
		if _, err := n.ringOf([]ring.Member{{ID: id(2 + i), Weight: 1}}); err != nil {
			t.Fatal(err)
		}
	}
	if b, _ := n.ringOf([]ring.Member{{ID: id(1), Weight: 1}}); a != b {
		t.Error("a ring of the latest few was built again")
	}
	if len(n.rings) != ringsKept {
		t.Errorf("%d rings are kept", len(n.rings))
	}
}

// TestReadersDuringChange: Views are read by many while nodes come and go.
func TestReadersDuringChange(t *testing.T) {
	nodes := group(t, 2, nil)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			var last uint64
			for h := uint64(0); ; h++ {
				select {
				case <-stop:
					return
				default:
				}
				v := nodes[0].View()
				if v.Serial < last {
					t.Errorf("view %d after %d", v.Serial, last)
					return
				}
				last = v.Serial
				for _, i := range v.Order(h) {
					if v.Node(i) == nil {
						t.Error("an order names a node that is not in the view")
						return
					}
				}
				_ = nodes[0].Nodes()
			}
		})
	}
	third := start(t, config(t, "third"))
	third.join(nodes[0])
	await(t, append(nodes, third), "three", func(v *ring.View) bool { return count(v, ring.Alive) == 3 })
	third.kill()
	await(t, nodes, "failed", func(v *ring.View) bool { return count(v, ring.Failed) == 1 })
	close(stop)
	wg.Wait()
}

// TestDamagedMembersFile: the node starts alone, under its own id, and says so
// by setting the file aside.
func TestDamagedMembersFile(t *testing.T) {
	nodes := group(t, 2, nil)
	victim := nodes[1]
	victim.kill()
	path := filepath.Join(victim.cfg.DataDir, membersFile)
	if err := os.WriteFile(path, []byte("torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	back := start(t, victim.cfg)
	if back.ID() != victim.ID() {
		t.Error("another id")
	}
	if _, err := os.Stat(path + ".damaged"); err != nil {
		t.Error(err)
	}
	// The other one knows it and finds it, or it joins.
	back.join(nodes[0])
	await(t, []*node{nodes[0], back}, "two", func(v *ring.View) bool { return count(v, ring.Alive) == 2 })
}

func TestMetricsAndStatus(t *testing.T) {
	reg := prometheus.NewRegistry()
	nodes := group(t, 3, func(i int, cfg *Config) {
		if i == 0 {
			cfg.Registerer = reg
		}
		cfg.Zone = []string{"east", "west", ""}[i]
	})
	nodes[1].SetDraining(true)
	nodes[2].kill()
	await(t, nodes[:2], "one of each", func(v *ring.View) bool {
		return count(v, ring.Alive) == 1 && count(v, ring.Draining) == 1 && count(v, ring.Failed) == 1
	})
	want := `
# HELP mccd_cluster_nodes Members of the cluster as this node sees them, by state.
# TYPE mccd_cluster_nodes gauge
mccd_cluster_nodes{state="alive"} 1
mccd_cluster_nodes{state="draining"} 1
mccd_cluster_nodes{state="failed"} 1
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "mccd_cluster_nodes"); err != nil {
		t.Error(err)
	}
	sum, selves := 0.0, 0
	for _, n := range nodes[0].Nodes() {
		sum += n.Owned
		if n.Self {
			selves++
		}
		if n.GossipAddr == "" || n.PeerAddr == "" {
			t.Errorf("no address: %+v", n)
		}
	}
	if selves != 1 || sum < 0.999 || sum > 1.001 {
		t.Errorf("%d selves, shares add up to %v", selves, sum)
	}
}

// TestNamesakesAreToldOf: names are for people, so nothing is refused.
func TestNamesakesAreToldOf(t *testing.T) {
	for _, name := range []string{"twin", "other"} {
		var mu sync.Mutex
		var log strings.Builder
		w := writerFunc(func(b []byte) (int, error) {
			mu.Lock()
			defer mu.Unlock()
			return log.Write(b)
		})
		group(t, 2, func(i int, cfg *Config) {
			cfg.Name = "twin"
			if i == 1 {
				cfg.Name = name
			} else {
				cfg.Logger = slog.New(slog.NewTextHandler(w, nil))
			}
		})
		mu.Lock()
		if told := strings.Contains(log.String(), "two members have one name"); told != (name == "twin") {
			t.Errorf("beside %q: told %v: %s", name, told, log.String())
		}
		mu.Unlock()
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// TestRunEndsWhileLeaving: neither waits for the other for ever.
func TestRunEndsWhileLeaving(t *testing.T) {
	nodes := group(t, 2, nil)
	done := make(chan struct{})
	go func() {
		defer close(done)
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_ = nodes[1].Leave(ctx) // either end is right
	}()
	nodes[1].kill()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("Leave hangs")
	}
}
