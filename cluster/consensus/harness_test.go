package consensus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mccd/mccd/cluster/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fabric connects nodes by pipes, as a partition allows.
type fabric struct {
	mu    sync.Mutex // guards what follows
	doors map[string]chan net.Conn
	side  map[string]int
	pipes map[[2]string][]net.Conn
}

func newFabric() *fabric {
	return &fabric{doors: make(map[string]chan net.Conn), side: make(map[string]int), pipes: make(map[[2]string][]net.Conn)}
}

// reaches reports whether b answers a.
func (f *fabric) reaches(a, b string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.doors[b] != nil && f.side[a] == f.side[b]
}

// part puts nodes on another side and cuts what crosses.
func (f *fabric) part(side int, ids ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range ids {
		f.side[id] = side
	}
	for ends, conns := range f.pipes {
		if f.side[ends[0]] != f.side[ends[1]] {
			for _, c := range conns {
				c.Close()
			}
			delete(f.pipes, ends)
		}
	}
}

func (f *fabric) open(id string) *door {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.doors[id] = make(chan net.Conn)
	return &door{fabric: f, id: id, in: f.doors[id], closed: make(chan struct{})}
}

// door is one node's Stream.
type door struct {
	fabric *fabric
	id     string
	in     chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (d *door) Accept() (net.Conn, error) {
	select {
	case c := <-d.in:
		return c, nil
	case <-d.closed:
		return nil, net.ErrClosed
	}
}

func (d *door) Close() error {
	d.once.Do(func() {
		d.fabric.mu.Lock()
		defer d.fabric.mu.Unlock()
		if d.fabric.doors[d.id] == d.in {
			delete(d.fabric.doors, d.id)
		}
		close(d.closed)
	})
	return nil
}

func (d *door) Dial(ctx context.Context, id string) (net.Conn, error) {
	if !d.fabric.reaches(d.id, id) {
		return nil, errors.New("no route")
	}
	d.fabric.mu.Lock()
	in := d.fabric.doors[id]
	d.fabric.mu.Unlock()
	here, there := net.Pipe()
	select {
	case in <- there:
	case <-ctx.Done():
		return nil, errors.Join(ctx.Err(), here.Close(), there.Close())
	}
	d.fabric.mu.Lock()
	defer d.fabric.mu.Unlock()
	ends := [2]string{d.id, id}
	d.fabric.pipes[ends] = append(d.fabric.pipes[ends], here, there)
	return here, nil
}

func quick() Timing {
	return Timing{
		Heartbeat: 150 * time.Millisecond, Election: 150 * time.Millisecond, LeaderLease: 100 * time.Millisecond, Commit: 20 * time.Millisecond,
		Reconcile: 60 * time.Millisecond, DeadAfter: 600 * time.Millisecond, StableFor: 100 * time.Millisecond,
	}
}

// group is a cluster in one process.
type group struct {
	t      *testing.T
	fabric *fabric
	dir    string
	nodes  map[string]*member
	zones  map[string]string
	mu     sync.Mutex // guards running, which other nodes' goroutines read
	live   map[string]*Consensus
}

type member struct {
	*Consensus
	id     string
	cancel context.CancelFunc
	done   chan error
}

func newGroup(t *testing.T) *group {
	g := &group{t: t, fabric: newFabric(), dir: t.TempDir(), nodes: make(map[string]*member), zones: make(map[string]string), live: make(map[string]*Consensus)}
	t.Cleanup(func() {
		for id := range g.nodes {
			g.stop(id)
		}
	})
	return g
}

// name gives node i its id.
func name(i int) string { return strings.Repeat(fmt.Sprintf("%02x", i), 16) }

func record(id, zone string) state.Node {
	return state.Node{ID: id, Name: "n" + id[:2], Zone: zone, Weight: 1, Key: strings.Repeat(id, 2), JoinKey: "join " + id[:2], MaxVersion: 1}
}

func founding(id, zone string) *state.Init {
	// A sealed secret as the State takes it: a version, its key's id, the rest.
	sealed := append(append([]byte{1}, make([]byte, 8)...), make([]byte, 28)...)
	return &state.Init{
		ClusterID: strings.Repeat("c", 32), Node: record(id, zone), SealingKeyID: strings.Repeat("0", 16),
		Trust: state.Trust{CAs: [][]byte{{1}}, SealedKey: sealed}, Gossip: state.Keyring{Sealed: sealed},
		Tokens:     []state.Token{{ID: "00000001", Hash: tokenHash(), Uses: -1}},
		RingFormat: 1, Version: state.Version{Number: 1},
	}
}

func tokenHash() string { return strings.Repeat("f", 64) }

func (g *group) config(id string) Config {
	logger := slog.New(slog.DiscardHandler)
	if os.Getenv("RAFT_TEST_LOG") != "" {
		logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})).With("node", id[:2])
	}
	return Config{
		Dir: filepath.Join(g.dir, id, "raft"), StateFile: filepath.Join(g.dir, id, "state"), ID: id,
		Stream: g.fabric.open(id), Timing: quick(), Logger: logger,
		Alive: func(other string) bool { return g.fabric.reaches(id, other) },
		Stats: func(_ context.Context, other string) (Stats, error) {
			g.mu.Lock()
			c := g.live[other]
			g.mu.Unlock()
			if c == nil || !g.fabric.reaches(id, other) {
				return Stats{}, io.ErrUnexpectedEOF
			}
			return c.Stats(), nil
		},
	}
}

func (g *group) open(id string, change func(*Config)) *member {
	g.t.Helper()
	if err := os.MkdirAll(filepath.Join(g.dir, id), 0o700); err != nil {
		g.t.Fatal(err)
	}
	cfg := g.config(id)
	if change != nil {
		change(&cfg)
	}
	c, err := New(cfg)
	if err != nil {
		g.t.Fatal(err)
	}
	m := &member{Consensus: c, id: id, done: make(chan error, 1)}
	g.nodes[id] = m
	return m
}

// start opens and runs a node.
func (g *group) start(id string, change func(*Config)) *member {
	g.t.Helper()
	m := g.open(id, change)
	var ctx context.Context
	ctx, m.cancel = context.WithCancel(context.Background())
	go func() { m.done <- m.Run(ctx) }()
	g.mu.Lock()
	g.live[id] = m.Consensus
	g.mu.Unlock()
	return m
}

// found starts the first node.
func (g *group) found(id string) *member {
	return g.start(id, func(cfg *Config) { cfg.Bootstrap = founding(id, g.zones[id]) })
}

// stop ends a node and waits for its end.
func (g *group) stop(id string) {
	g.t.Helper()
	m := g.nodes[id]
	if m == nil {
		return
	}
	delete(g.nodes, id)
	g.mu.Lock()
	delete(g.live, id)
	g.mu.Unlock()
	if m.cancel == nil {
		if err := m.Close(); err != nil {
			g.t.Error(err)
		}
		return
	}
	m.cancel()
	select {
	case err := <-m.done:
		if err != nil {
			g.t.Errorf("stop of %s: %v", id[:2], err)
		}
	case <-time.After(time.Minute):
		g.t.Fatalf("node %s does not stop", id[:2])
	}
}

// eventually waits for cond.
func (g *group) eventually(what string, cond func() bool) {
	g.t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	timeout := time.After(time.Minute)
	for !cond() {
		select {
		case <-ticker.C:
		case <-timeout:
			for id, m := range g.nodes {
				g.t.Logf("%s: %+v", id[:2], m.Quorum())
			}
			g.t.Fatalf("never: %s", what)
		}
	}
}

// leader waits for one and returns it.
func (g *group) leader() *member {
	g.t.Helper()
	var found *member
	g.eventually("a leader", func() bool {
		for _, m := range g.nodes {
			if m.IsLeader() {
				found = m
				return true
			}
		}
		return false
	})
	return found
}

// do sends a command to whoever leads, again where nothing was done, or
// perhaps nothing.
func (g *group) do(cmd state.Command) state.Result {
	g.t.Helper()
	var result state.Result
	unknown := false
	g.eventually(fmt.Sprintf("%T", cmd), func() bool {
		var err error
		leader := g.leader()
		result, err = leader.Apply(context.Background(), cmd)
		if unknown && errors.Is(err, state.ErrConflict) {
			result.Revision = leader.State().Config.Revision
			return true
		}
		unknown = unknown || errors.Is(err, ErrUnknownOutcome)
		if _, elsewhere := errors.AsType[*NotLeaderError](err); elsewhere || errors.Is(err, ErrUnknownOutcome) {
			return false
		}
		if err != nil {
			g.t.Fatalf("%T: %v", cmd, err)
		}
		return true
	})
	return result
}

// join admits and starts a node and gives it its place.
func (g *group) join(id string) *member {
	g.t.Helper()
	g.do(state.Admit{TokenHash: tokenHash(), Node: record(id, g.zones[id])})
	m := g.start(id, nil)
	g.eventually("the joining node's own record", func() bool { _, ok := m.State().Node(id); return ok })
	g.do(state.Activate{ID: id})
	return m
}

// grow makes a cluster of n nodes and waits for its votes.
func (g *group) grow(n int) {
	g.t.Helper()
	g.found(name(1))
	for i := 2; i <= n; i++ {
		g.join(name(i))
	}
	g.voters(largestOdd(min(n, 5)))
}

// voters waits until every running node knows so many votes, and returns who
// has them.
func (g *group) voters(n int) []string {
	g.t.Helper()
	var voters []string
	g.eventually(fmt.Sprintf("%d voters", n), func() bool {
		for _, m := range g.nodes {
			voters = m.Quorum().Voters
			if len(voters) != n {
				return false
			}
		}
		return true
	})
	return voters
}

// same waits until all running nodes show the same State, and returns it.
func (g *group) same() *state.State {
	g.t.Helper()
	var first *state.State
	g.eventually("one State at all", func() bool {
		first = nil
		for _, m := range g.nodes {
			st := m.State()
			if first == nil {
				first = st
			} else if string(state.Marshal(first)) != string(state.Marshal(st)) {
				return false
			}
		}
		return true
	})
	return first
}
