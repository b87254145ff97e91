package process_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/mccd/mccd/cluster/admin"
	"github.com/mccd/mccd/cluster/state"
)

const fakeEnv = "PROCESS_TEST_FAKE"

// TestMain lets the test's own program stand in for mccd.
func TestMain(m *testing.M) {
	if os.Getenv(fakeEnv) != "" {
		if err := fake(os.Args[1:]); err != nil {
			fmt.Println(err)
			os.Exit(2)
		}
		return
	}
	os.Exit(m.Run())
}

// fakeNode is one of two that see each other alive, and know of one that was
// removed.
type fakeNode struct {
	admin.Cluster // what is not asked of it
	name          string
}

func (f fakeNode) CreateToken(context.Context, state.TokenSpec) (string, state.Token, error) {
	return "MCCD1-fake", state.Token{}, nil
}

func (f fakeNode) Status(context.Context) (admin.Status, error) {
	s := admin.Status{NodeID: f.name, Name: f.name, Cluster: admin.ClusterInfo{LeaderID: "node1", Quorum: admin.Quorum{OK: true}}}
	for _, name := range []string{"node1", "node2"} {
		s.Nodes = append(s.Nodes, admin.Node{ID: name, Name: name, State: "alive", Stage: "active"})
	}
	s.Nodes = append(s.Nodes, admin.Node{ID: "x", Name: "node2", State: "none", Stage: "removed"})
	return s, nil
}

// fake answers as much of mccd's command line as the driver uses.
func fake(args []string) error {
	text, err := os.ReadFile(args[2])
	if err != nil {
		return err
	}
	var cfg struct {
		Name   string   `yaml:"name"`
		Ops    string   `yaml:"ops_listen"`
		Socket string   `yaml:"admin_socket"`
		Join   []string `yaml:"join"`
		Token  string   `yaml:"token_file"`
	}
	if err := yaml.Unmarshal(text, &cfg); err != nil {
		return err
	}
	if token, err := os.ReadFile(cfg.Token); cfg.Token != "" && (err != nil || strings.TrimSpace(string(token)) != "MCCD1-fake") {
		return fmt.Errorf("token %q: %w", token, err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	socket, err := admin.Listen(cfg.Socket)
	if err != nil {
		return err
	}
	node := fakeNode{name: cfg.Name}
	srv, err := admin.New(admin.Config{Listener: socket, Cluster: node, Status: node})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", cfg.Ops)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/readyz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/metrics", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "# HELP a b\nmccd_x_total{source=\"hit\"} 3\nmccd_x_total{source=\"miss\",rule=\"a b\"} 4\nmccd_x 1e3\nmccd_x_totals 9\nnonsense\n")
	})
	go func() { _ = http.Serve(l, mux) }()
	fmt.Println("serving at", cfg.Ops)
	return srv.Run(ctx)
}
