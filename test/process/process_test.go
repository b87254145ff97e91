package process_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/mccd/mccd/test/process"
)

func newCluster(t *testing.T, nodes int) *process.Cluster {
	t.Helper()
	t.Setenv(fakeEnv, "1")
	bin, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c, err := process.New(process.Config{Bin: bin, Dir: t.TempDir(), Nodes: nodes,
		Amend: func(i int, settings map[string]any) { settings["zone"] = fmt.Sprint("z", i) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(time.Minute); err != nil {
			t.Error(err)
		}
	})
	return c
}

func deadline(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func TestNodeLives(t *testing.T) {
	ctx, c := deadline(t), newCluster(t, 2)
	if err := c.Start(ctx); err != nil {
		t.Fatal(err)
	}
	n := c.Nodes[0]
	if !n.Running() || n.PID() == 0 || len(c.Running()) != 2 {
		t.Fatal("started nodes do not count as running")
	}
	if err := n.Start(); err == nil {
		t.Error("a running node could be started again")
	}
	if err := n.Kill(); err != nil {
		t.Fatal(err)
	}
	if n.Running() {
		t.Error("a killed node counts as running")
	}
	if code, err := n.Wait(ctx); err != nil || code != -1 {
		t.Errorf("killed: code %d, %v; want -1", code, err)
	}
	if err := n.Kill(); err == nil {
		t.Error("a dead node could be killed")
	}
	if err := n.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	if err := n.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	log, err := os.ReadFile(n.LogFile)
	if err != nil || strings.Count(string(log), "serving at") != 2 {
		t.Errorf("log of two lives: %q, %v", log, err)
	}
}

func TestPausedNodeIsSilent(t *testing.T) {
	ctx, c := deadline(t), newCluster(t, 1)
	n := c.Nodes[0]
	if err := n.Start(); err != nil {
		t.Fatal(err)
	}
	if err := n.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	if err := n.Pause(); err != nil {
		t.Skip(err)
	}
	soon, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if _, err := n.Metrics(soon); err == nil {
		t.Error("a paused node answered")
	}
	if err := n.Resume(); err != nil {
		t.Fatal(err)
	}
	m, err := n.Metrics(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Sum("mccd_x_total"); got != 7 {
		t.Errorf("sum of both: %v", got)
	}
	if got := m.Sum("mccd_x_total", `source="hit"`); got != 3 {
		t.Errorf("sum of hits: %v", got)
	}
	if got := m.Sum("mccd_x"); got != 1000 {
		t.Errorf("without labels: %v", got)
	}
}

func TestReadyEndsWithTheProcess(t *testing.T) {
	ctx, c := deadline(t), newCluster(t, 1)
	n := c.Nodes[0]
	if err := os.WriteFile(n.ConfigFile, []byte("\t"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := n.Start(); err != nil {
		t.Fatal(err)
	}
	if err := n.Ready(ctx); err == nil || ctx.Err() != nil {
		t.Errorf("a program that ends at once: %v", err)
	}
	if code, err := n.Wait(ctx); code != 2 || err != nil {
		t.Errorf("exit code %d, %v", code, err)
	}
}

func TestConfigurationFile(t *testing.T) {
	c := newCluster(t, 3)
	seen := map[string]bool{}
	for i, n := range c.Nodes {
		text, err := os.ReadFile(n.ConfigFile)
		if err != nil {
			t.Fatal(err)
		}
		var m map[string]any
		if err := yaml.Unmarshal(text, &m); err != nil {
			t.Fatal(err)
		}
		if m["zone"] != fmt.Sprint("z", i) {
			t.Errorf("node %d was not amended: %v", i, m["zone"])
		}
		joins, _ := m["join"].([]any)
		if i == 0 && (joins != nil || m["token_file"] != nil) {
			t.Errorf("the first node joins %v by %v", joins, m["token_file"])
		}
		if i > 0 && (len(joins) != 1 || joins[0] != c.Nodes[0].Peer || m["token_file"] != c.TokenFile) {
			t.Errorf("node %d joins %v by %v", i, joins, m["token_file"])
		}
		for _, addr := range []string{n.Addr, n.Ops, n.Peer, n.Gossip} {
			if seen[addr] {
				t.Errorf("%s was given twice", addr)
			}
			seen[addr] = true
		}
		if filepath.Dir(n.Drive) != n.Dir {
			t.Errorf("drive %s is not in %s", n.Drive, n.Dir)
		}
	}
}

func TestStatusOfAll(t *testing.T) {
	ctx, c := deadline(t), newCluster(t, 2)
	if err := c.Start(ctx); err != nil {
		t.Fatal(err)
	}
	leader, err := c.Leader(ctx)
	if err != nil || leader != c.Nodes[0] {
		t.Fatalf("leader %v, %v", leader, err)
	}
	s, err := c.Nodes[1].Status(ctx)
	if err != nil || s.Alive() != 2 || s.Active() != 2 || s.Node("node2").ID != "node2" || s.Node("none") != nil {
		t.Errorf("status %+v, %v", s, err)
	}
	// What a dead leader was, nobody is.
	if err := c.Nodes[0].Kill(); err != nil {
		t.Fatal(err)
	}
	soon, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	if leader, err := c.Leader(soon); err == nil {
		t.Errorf("the dead %s leads", leader.Name)
	}
	// One that comes back is asked anew, at another place.
	old := c.Nodes[0].Addr
	if err := c.Nodes[0].Readdress(); err != nil || c.Nodes[0].Addr == old {
		t.Fatalf("new address %s, %v", c.Nodes[0].Addr, err)
	}
	if err := c.StartAll(ctx, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := c.SameRing(ctx); err != nil {
		t.Error(err)
	}
	if err := c.Nodes[0].Wipe(); err == nil {
		t.Error("a running node was wiped")
	}
}

func TestWipe(t *testing.T) {
	c := newCluster(t, 1)
	n := c.Nodes[0]
	for _, name := range []string{"node-id", "mccd.log"} {
		if err := os.WriteFile(filepath.Join(n.Dir, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := n.Wipe(); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(n.Dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("kept %v, %v; want the configuration and the log", entries, err)
	}
}

func TestURL(t *testing.T) {
	for path, want := range map[string]string{
		"/a":     "http://h:1/a?cacheHostOrigin=o.example",
		"/a?b=c": "http://h:1/a?b=c&cacheHostOrigin=o.example",
	} {
		if got := process.URL("h:1", path, "o.example"); got != want {
			t.Errorf("URL(%q) = %s", path, got)
		}
	}
}
