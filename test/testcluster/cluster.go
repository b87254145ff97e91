package testcluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mccd/mccd/cluster/state"
	"github.com/mccd/mccd/cmd/mccd/node"
	"github.com/mccd/mccd/ring"
	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/loopback"
)

// patience bounds every wait for the nodes.
const patience = 90 * time.Second

// Config says what the nodes of a Cluster are like.
type Config struct {
	// Nodes is their number; 0 = 3.
	Nodes int
	// Origins are the rules that all nodes serve.
	Origins []storage.Rule
	// DriveSize is each node's limit in bytes; 0 = 2 GiB.
	DriveSize int64
	// Edit changes node i's configuration before it starts; may be nil.
	Edit func(i int, cfg *node.Config)
}

// Cluster is a set of real nodes. Its methods are for the test's goroutine.
type Cluster struct {
	t     testing.TB
	cfg   Config
	Nodes []*Node

	mu  sync.Mutex      // guards cut
	cut map[[2]int]bool // pairs that may not reach each other
}

// Node is one member, running or not.
type Node struct {
	*node.Node
	c      *Cluster
	index  int
	dir    string
	cfg    node.Config
	cancel context.CancelFunc
	done   chan error
	logs   *logBuffer
}

// New starts the nodes, joins them and waits until each sees all others alive.
// They are stopped at the end of the test.
func New(t testing.TB, cfg Config) *Cluster {
	t.Helper()
	if cfg.Nodes == 0 {
		cfg.Nodes = 3
	}
	if cfg.DriveSize == 0 {
		cfg.DriveSize = 2 << 30
	}
	c := &Cluster{t: t, cfg: cfg, cut: make(map[[2]int]bool)}
	t.TempDir() // so that directories are removed after the nodes have stopped
	t.Cleanup(func() { c.stop() })
	for i := range cfg.Nodes {
		n := c.add()
		if i > 0 {
			n.cfg.Join, n.cfg.Token = []string{c.Nodes[0].PeerAddr()}, c.Token()
		}
		n.start()
	}
	c.AwaitState(ring.Alive, c.Nodes...)
	return c
}

// add makes one more node, not started and in no cluster but its own.
func (c *Cluster) add() *Node {
	i, cfg := len(c.Nodes), c.cfg
	n := &Node{c: c, index: i, dir: c.t.TempDir(), logs: new(logBuffer)}
	c.Nodes = append(c.Nodes, n)
	n.cfg = node.Config{
		Name: fmt.Sprintf("n%d", i+1), DataDir: n.dir,
		Drives: []node.Drive{{Path: filepath.Join(n.dir, "cache"), Size: cfg.DriveSize}},
		Listen: loopback.Any(c.t), PeerListen: loopback.Any(c.t), GossipListen: loopback.Any(c.t),
		Origins: cfg.Origins,
		Limits:  node.Limits{FreeBytes: -1},
		Timeouts: node.Timeouts{
			// The race detector and two cores make honest nodes slow.
			GossipProbe: 2 * time.Second, PeerSilence: 5 * time.Second, PeerHeartbeat: 100 * time.Millisecond,
			BreakerOpen: 500 * time.Millisecond, ShutdownGrace: 5 * time.Second,
			RaftHeartbeat: time.Second, CatchUp: 5 * time.Second,
		},
		Logger: slog.New(slog.NewTextHandler(n.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	n.cfg.Allow = func(addr string) bool { return c.allowed(i, addr) }
	if cfg.Edit != nil {
		cfg.Edit(i, &n.cfg)
	}
	return n
}

// Alone starts one more node, which is a cluster of its own. Config.Edit sees
// it with the next index.
func (c *Cluster) Alone() *Node {
	n := c.add()
	n.start()
	return n
}

// Join makes n, which runs, a member of the others' cluster and waits until all
// see it alive.
func (c *Cluster) Join(n *Node) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	token := c.Token()
	if err := Steady(ctx, func() error { return n.Cluster().Join(ctx, []string{c.Nodes[0].PeerAddr()}, token) }); err != nil {
		c.t.Fatalf("join %s: %v", n.cfg.Name, err)
	}
	c.AwaitState(ring.Alive, n)
}

// Token returns a token of the cluster, good for any number of nodes, made by
// the first node that runs.
func (c *Cluster) Token() string {
	c.t.Helper()
	for _, n := range c.Nodes {
		if !n.Running() {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		var token string
		err := Steady(ctx, func() (err error) {
			token, _, err = n.Cluster().CreateToken(ctx, state.TokenSpec{Uses: -1, TTL: time.Hour})
			return err
		})
		if err != nil {
			c.t.Fatalf("make a token: %v", err)
		}
		return token
	}
	c.t.Fatal("no node runs")
	return ""
}

// Steady returns what call, a question to the cluster or a change of it, ends
// with once nothing hinders it: on a machine that stands still for a second a
// leadership is lost, and the answer is that there is no quorum or that the
// outcome is not known. It is called again then, until ctx ends.
func Steady(ctx context.Context, call func() error) error {
	for {
		err := call()
		if err == nil || ctx.Err() != nil {
			return err
		}
		hindered := false
		for _, e := range []error{state.ErrNoQuorum, state.ErrUnknownOutcome, context.DeadlineExceeded} {
			hindered = hindered || errors.Is(err, e) || strings.Contains(err.Error(), e.Error()) // as text from another node
		}
		if !hindered {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (c *Cluster) stop() {
	for _, n := range c.Nodes {
		n.Stop()
		if c.t.Failed() {
			c.t.Logf("log of %s:\n%s", n.cfg.Name, n.logs.String())
		}
	}
}

func (n *Node) start() {
	n.c.t.Helper()
	var err error
	if n.Node, err = node.New(n.cfg); err != nil {
		n.c.t.Fatalf("start %s: %v", n.cfg.Name, err)
	}
	// The addresses stay over restarts, as those of a machine do.
	n.cfg.Listen, n.cfg.PeerListen, n.cfg.GossipListen = n.Addr(), n.PeerAddr(), n.GossipAddr()
	if addr := n.HTTPSAddr(); addr != "" {
		n.cfg.HTTPSListen = addr
	}
	ctx, cancel := context.WithCancel(context.Background())
	n.cancel, n.done = cancel, make(chan error, 1)
	running := n.Node
	go func() { n.done <- running.Run(ctx) }()
}

// Running reports whether the node was started and not stopped since.
func (n *Node) Running() bool { return n.done != nil }

// Stop ends the node cleanly and waits for it.
func (n *Node) Stop() {
	if n.done == nil {
		return
	}
	n.cancel()
	if err := <-n.done; err != nil {
		n.c.t.Errorf("stop %s: %v", n.cfg.Name, err)
	}
	n.done = nil
}

// Restart starts a stopped node again, with its disk and its addresses.
func (n *Node) Restart() {
	n.c.t.Helper()
	n.start()
}

// WipeDisk removes what a stopped node holds, but not its identity.
func (n *Node) WipeDisk() {
	if err := os.RemoveAll(filepath.Join(n.dir, "cache")); err != nil {
		n.c.t.Fatal(err)
	}
}

// URL returns the address of path at this node.
func (n *Node) URL(path string) string { return "http://" + n.Addr() + path }

// DriveDir returns the directory of the node's drive.
func (n *Node) DriveDir() string { return n.cfg.Drives[0].Path }

// Partition cuts the connections between the nodes of a and those of b; it
// holds for new connections and gossip.
func (c *Cluster) Partition(a, b []*Node) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, x := range a {
		for _, y := range b {
			c.cut[[2]int{x.index, y.index}] = true
			c.cut[[2]int{y.index, x.index}] = true
		}
	}
}

// Heal undoes all partitions.
func (c *Cluster) Heal() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.cut)
}

func (c *Cluster) allowed(from int, addr string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.cut) == 0 {
		return true
	}
	for _, n := range c.Nodes {
		if n.Node != nil && (n.PeerAddr() == addr || n.GossipAddr() == addr) && c.cut[[2]int{from, n.index}] {
			return false
		}
	}
	return true
}

// AwaitState waits until every running node sees all of nodes in state.
func (c *Cluster) AwaitState(state ring.State, nodes ...*Node) {
	c.t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if c.seen(state, nodes) {
			return
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			c.t.Fatalf("nodes did not see each other %s within %v", state, patience)
		}
	}
}

func (c *Cluster) seen(state ring.State, nodes []*Node) bool {
	for _, at := range c.Nodes {
		if !at.Running() {
			continue
		}
		view := at.View()
		for _, n := range nodes {
			if seen, ok := view.ByID(n.ID()); !ok || seen.State != state {
				return false
			}
		}
	}
	return true
}

// OwnerOf returns the node that the ring gives chunk index of ref.
func (c *Cluster) OwnerOf(ref storage.Ref, index uint32) *Node {
	view := c.Nodes[0].View()
	order := view.Order(storage.PlacementHash(ref.ID(), index))
	for _, n := range c.Nodes {
		if n.ID() == view.Node(order[0]).ID {
			return n
		}
	}
	c.t.Fatal("the owner is not a node of this cluster")
	return nil
}

// logBuffer keeps the end of a node's log.
type logBuffer struct {
	mu sync.Mutex // guards b
	b  []byte
}

// Write appends p; what is over 256 KiB is dropped from the front.
func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b = append(l.b, p...)
	if over := len(l.b) - 256<<10; over > 0 {
		l.b = append(l.b[:0], l.b[over:]...)
	}
	return len(p), nil
}

// String returns what is kept.
func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.b)
}

// DataDir returns the directory that holds all of the node's files.
func (n *Node) DataDir() string { return n.dir }

// Log returns the end of what the node has logged, at every level.
func (n *Node) Log() string { return n.logs.String() }
