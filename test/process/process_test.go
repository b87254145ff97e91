package process_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/mccd/mccd/test/process"
)

const fakeEnv = "PROCESS_TEST_FAKE"

// TestMain lets the test's own program stand in for mccd.
func TestMain(m *testing.M) {
	if os.Getenv(fakeEnv) != "" {
		fake(os.Args[1:])
		return
	}
	os.Exit(m.Run())
}

// fake answers as much of mccd's command line as the driver uses. A node
// counts those alive whose operators' port answers among those it was told of.
func fake(args []string) {
	if args[0] == "status" {
		entry := map[string]any{"name": "x", "state": "alive"}
		_ = json.NewEncoder(os.Stdout).Encode(map[string]any{"nodes": []any{entry, entry, map[string]any{"state": "failed"}}})
		return
	}
	text, err := os.ReadFile(args[2])
	if err != nil {
		fmt.Println(err)
		os.Exit(2)
	}
	var cfg struct {
		Ops string `yaml:"ops_listen"`
	}
	if err := yaml.Unmarshal(text, &cfg); err != nil {
		fmt.Println(err)
		os.Exit(2)
	}
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	l, err := net.Listen("tcp", cfg.Ops)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/readyz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/metrics", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "# HELP a b\nmccd_x_total{source=\"hit\"} 3\nmccd_x_total{source=\"miss\",rule=\"a b\"} 4\nmccd_x 1e3\nmccd_x_totals 9\nnonsense\n")
	})
	go func() { _ = http.Serve(l, mux) }()
	fmt.Println("serving at", cfg.Ops)
	<-term
}

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
		if err := c.Close(5 * time.Second); err != nil {
			t.Error(err)
		}
	})
	return c
}

func deadline(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
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
	if _, err := n.Metrics(ctx); err == nil {
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
		if len(joins) != i {
			t.Errorf("node %d joins %v", i, joins)
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
