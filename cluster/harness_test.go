package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/mccd/mccd/cluster/consensus"
	"github.com/mccd/mccd/cluster/gossip"
	"github.com/mccd/mccd/cluster/state"
	"github.com/mccd/mccd/ring"
	"github.com/mccd/mccd/test/loopback"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// memberlist's Shutdown does not wait for a probe in progress; it ends with its time-out.
		goleak.IgnoreAnyFunction("github.com/hashicorp/memberlist.(*Memberlist).probeNode"))
}

// patience bounds every wait: the race detector on two cores is slow.
const patience = 90 * time.Second

// world is the nodes of one test, and what they must never tell.
type world struct {
	t     *testing.T
	logs  *logBuffer
	nodes []*member

	mu      sync.Mutex // guards what follows
	secrets map[string]string
}

// member is one node, running or not. Its methods are for the test's goroutine.
type member struct {
	*Cluster
	w    *world
	cfg  Config
	addr string // of the port between nodes, kept over restarts
	stop func()
}

// logBuffer keeps all logs of a test, at debug level.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newWorld(t *testing.T) *world {
	t.Helper()
	t.Parallel()
	w := &world{t: t, logs: new(logBuffer), secrets: make(map[string]string)}
	_ = t.TempDir() // the directories go after the nodes
	t.Cleanup(w.end)
	return w
}

// end stops all nodes and looks for secrets in what they told.
func (w *world) end() {
	for _, n := range w.nodes {
		n.keepSecrets()
		n.halt()
	}
	told := w.logs.String()
	w.mu.Lock()
	defer w.mu.Unlock()
	for what, secret := range w.secrets {
		if strings.Contains(strings.ToLower(told), strings.ToLower(secret)) {
			w.t.Errorf("a log tells %s", what)
		}
	}
	if w.t.Failed() {
		for line := range strings.Lines(told) {
			if !strings.Contains(line, "level=DEBUG") || os.Getenv("MCCD_TEST_DEBUG") != "" {
				w.t.Log(strings.TrimSpace(line))
			}
		}
	}
}

// secret has end look for s in the logs.
func (w *world) secret(what, s string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.secrets[what] = s
}

// config is that of a node named name in a directory of its own.
func (w *world) config(name string) Config {
	return Config{
		DataDir: w.t.TempDir(), Name: name, DriveBytes: 1 << 30, Release: "test", Bind: loopback.Any(w.t),
		Raft: consensus.Timing{
			Heartbeat: time.Second, LeaderLease: time.Second, Reconcile: 100 * time.Millisecond, DeadAfter: 2 * time.Second, StableFor: 200 * time.Millisecond,
		},
		Timing: gossip.Timing{
			Probe: 200 * time.Millisecond, ProbeTimeout: 180 * time.Millisecond, SuspicionMult: 6, Gossip: 20 * time.Millisecond, PushPull: time.Second,
			Stream: time.Second, RejoinMin: 50 * time.Millisecond, RejoinMax: 400 * time.Millisecond,
		},
		Settle: 5 * time.Millisecond,
	}
}

// open makes the node and does not run it.
func (w *world) open(cfg Config) *member {
	w.t.Helper()
	n := &member{w: w, cfg: cfg, addr: loopback.Any(w.t), stop: func() {}}
	w.nodes = append(w.nodes, n)
	n.open()
	return n
}

func (n *member) open() {
	n.w.t.Helper()
	if err := n.tryOpen(); err != nil {
		n.w.t.Fatalf("open %s: %v", n.cfg.Name, err)
	}
}

func (n *member) tryOpen() error {
	l, err := net.Listen("tcp", n.addr)
	if err != nil {
		return err
	}
	cfg := n.cfg
	n.addr = l.Addr().String()
	cfg.Listener, cfg.PeerAddr = l, n.addr
	cfg.Logger = slog.New(slog.NewTextHandler(n.w.logs, &slog.HandlerOptions{Level: slog.LevelDebug})).With("at", cfg.Name)
	n.Cluster, err = New(cfg)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	n.stop = func() { _ = n.Close() }
	return nil
}

// run runs an opened node.
func (n *member) run() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	c := n.Cluster
	go func() { done <- c.Run(ctx) }()
	n.stop = func() {
		cancel()
		if err := <-done; err != nil {
			n.w.t.Errorf("run %s: %v", n.cfg.Name, err)
		}
	}
}

func (w *world) start(cfg Config) *member {
	w.t.Helper()
	n := w.open(cfg)
	n.run()
	return n
}

// halt stops the node; its directory stays.
func (n *member) halt() {
	n.stop()
	n.stop = func() {}
}

// restart starts a halted node again, at the same address.
func (n *member) restart() {
	n.w.t.Helper()
	n.open()
	n.run()
}

// keepSecrets notes what the node's logs must not tell.
func (n *member) keepSecrets() {
	if n.Cluster == nil {
		return
	}
	id := n.current.Load().id.Load()
	for enc, s := range map[string]string{
		"hex": fmt.Sprintf("%x", id.Sealing[:]), "raw": string(id.Sealing[:]), "list": strings.Trim(fmt.Sprintf("%d", id.Sealing[:]), "[]"),
	} {
		n.w.secret("a sealing key, "+enc+" "+n.addr, s)
	}
	seed := id.Key.Signer().(interface{ Seed() []byte }).Seed()
	n.w.secret("a node key "+n.addr, fmt.Sprintf("%x", seed))
}

// token makes a token at n.
func (n *member) token(spec state.TokenSpec) string {
	n.w.t.Helper()
	var token string
	n.w.await("a token is made", func() error {
		var err error
		token, _, err = n.CreateToken(n.w.ctx(), spec)
		return err
	})
	n.w.secret("a token", token)
	n.w.secret("a token's secret", token[len(token)-36:])
	return token
}

func (w *world) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	w.t.Cleanup(cancel)
	return ctx
}

// await waits until check says nil.
func (w *world) await(what string, check func() error) {
	w.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("%s: not reached: %v", what, err)
		}
		pause(context.Background(), 10*time.Millisecond)
	}
}

// form starts n nodes named a, b, c... that joined one after the other.
func (w *world) form(n int, edit ...func(i int, cfg *Config)) []*member {
	w.t.Helper()
	var all []*member
	var token string
	for i := range n {
		cfg := w.config(string(rune('a' + i)))
		for _, e := range edit {
			e(i, &cfg)
		}
		m := w.start(cfg)
		all = append(all, m)
		if i == 0 {
			token = m.token(state.TokenSpec{Uses: -1})
			continue
		}
		m.joins(token, all[0].addr)
	}
	w.agreed(all...)
	return all
}

// joins has n join by a token at peers.
func (n *member) joins(token string, peers ...string) {
	n.w.t.Helper()
	if err := n.w.firm(func() error { return n.Join(n.w.ctx(), peers, token) }); err != nil {
		n.w.t.Fatalf("join %s: %v", n.cfg.Name, err)
	}
}

// firm returns what call does once nothing hinders it: on a machine that stands
// still for a second a leadership is lost and a bound in time missed, and the
// answer is that there is no quorum or that the outcome is not known. It is
// called again then; that it was done already is no error.
func (w *world) firm(call func() error) error {
	w.t.Helper()
	unknown := false
	for deadline := time.Now().Add(patience); ; pause(context.Background(), 20*time.Millisecond) {
		err := call()
		if unknown && (errors.Is(err, state.ErrConflict) || errors.Is(err, state.ErrNameTaken)) {
			return nil
		}
		if !momentary(err) || time.Now().After(deadline) {
			return err
		}
		unknown = unknown || errors.Is(err, state.ErrUnknownOutcome)
	}
}

// must is firm where no error is right.
func (w *world) must(call func() error) {
	w.t.Helper()
	if err := w.firm(call); err != nil {
		w.t.Fatal(err)
	}
}

// momentary reports whether err may be another one, or none, at the next try,
// also where it came as text from another node.
func momentary(err error) bool {
	if err == nil {
		return false
	}
	for _, e := range []error{state.ErrNoQuorum, state.ErrUnknownOutcome, context.DeadlineExceeded, errors.New("another join is in progress")} {
		if errors.Is(err, e) || strings.Contains(err.Error(), e.Error()) {
			return true
		}
	}
	code := status.Code(err)
	return code == codes.Unavailable || code == codes.DeadlineExceeded
}

// agreed waits until all see each other alive, in one ring, and can write.
func (w *world) agreed(all ...*member) {
	w.t.Helper()
	w.await("one ring, all alive", func() error {
		for _, n := range all {
			v := n.View()
			if len(v.Nodes()) != len(all) || v.Digest() != all[0].View().Digest() || v.Epoch != all[0].View().Epoch {
				return fmt.Errorf("%s sees %d nodes, epoch %v", n.cfg.Name, len(v.Nodes()), v.Epoch)
			}
			for _, other := range all {
				if seen, ok := v.ByID(other.ID()); !ok || seen.State != ring.Alive {
					return fmt.Errorf("%s does not see %s alive", n.cfg.Name, other.cfg.Name)
				}
			}
			if s, _ := n.ClusterStatus(w.ctx()); !s.Quorum.OK {
				return errors.New(s.Quorum.Reason)
			}
		}
		return nil
	})
}

// voters waits until n of the cluster's nodes vote.
func (w *world) voters(n int, all ...*member) {
	w.t.Helper()
	w.await(fmt.Sprint(n, " voters"), func() error {
		for _, m := range all {
			if q := m.current.Load().raft.Quorum(); len(q.Voters) != n || !q.HasLeader {
				return fmt.Errorf("%s knows %d voters, leader %t", m.cfg.Name, len(q.Voters), q.HasLeader)
			}
		}
		return nil
	})
}

// leader returns the one that leads.
func (w *world) leader(all ...*member) (leads *member, rest []*member) {
	w.t.Helper()
	w.await("a leader", func() error {
		leads, rest = nil, nil
		for _, n := range all {
			if n.current.Load().raft.IsLeader() {
				leads = n
			} else {
				rest = append(rest, n)
			}
		}
		if leads == nil {
			return errors.New("nobody leads")
		}
		return nil
	})
	return leads, rest
}

// writes submits a change at n and waits until it is there.
func (n *member) writes() {
	n.w.t.Helper()
	n.w.await(n.cfg.Name+" writes", func() error {
		_, err := n.Purge(n.w.ctx(), state.PurgeSpec{Host: "h", Path: "/"})
		return err
	})
}

// file reports whether a file of the data directory is there.
func (n *member) file(names ...string) bool {
	_, err := os.Lstat(filepath.Join(append([]string{n.cfg.DataDir}, names...)...))
	return err == nil
}

// snapshot is what a refusal must not change.
type snapshot struct {
	folder, cluster string
	digest          uint64
	epoch           ring.Epoch
}

func (n *member) snapshot() snapshot {
	n.w.t.Helper()
	entries, err := os.ReadDir(n.cfg.DataDir)
	if err != nil {
		n.w.t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	cert, err := os.ReadFile(filepath.Join(n.cfg.DataDir, memberFolder, "node.crt"))
	if err != nil {
		n.w.t.Fatal(err)
	}
	v := n.View()
	return snapshot{strings.Join(names, " ") + string(cert), n.State().ClusterID, v.Digest(), v.Epoch}
}

// wants fails the test unless err says all of the words.
func (w *world) wants(err error, words ...string) {
	w.t.Helper()
	if err == nil {
		w.t.Errorf("no error, want one that says %q", words)
		return
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			w.t.Errorf("error %q does not say %q", err, word)
		}
	}
}

// agreedBut is agreed where gone was removed.
func (w *world) agreedBut(gone *member, all ...*member) {
	w.t.Helper()
	w.agreed(all...)
	for _, n := range all {
		if _, ok := n.View().ByID(gone.ID()); ok {
			w.t.Errorf("%s has a place for %s still", n.cfg.Name, gone.cfg.Name)
		}
	}
}

func (w *world) now() time.Time { return time.Now() }
