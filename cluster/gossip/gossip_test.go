package gossip

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
	"go.uber.org/goleak"

	"github.com/mccd/mccd/test/loopback"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 30 * time.Second

func config(id byte) Config {
	return Config{
		NodeID: strings.Repeat(fmt.Sprintf("%02x", id), 16), Name: fmt.Sprint("n", id), PeerAddr: "127.0.0.1:1",
		Incarnation: 1, FormatVersion: 1, Bind: "127.0.0.1:0",
		Timing: Timing{
			Probe: 100 * time.Millisecond, ProbeTimeout: 80 * time.Millisecond, Gossip: 20 * time.Millisecond,
			PushPull: 300 * time.Millisecond, GossipToDead: time.Second, Stream: 5 * time.Second,
			RejoinMin: 50 * time.Millisecond, RejoinMax: 200 * time.Millisecond,
		},
	}
}

// start runs a Gossip; end stops it as a crash does.
func start(t *testing.T, cfg Config) (g *Gossip, end func()) {
	t.Helper()
	g, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	var once sync.Once
	end = func() {
		once.Do(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(end)
	return g, end
}

func join(t *testing.T, g, to *Gossip) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if n, err := g.Join(ctx, []string{to.Addr()}); n != 1 || err != nil {
		t.Fatalf("Join = %d, %v", n, err)
	}
}

// await waits for a change after which ok.
func await(t *testing.T, g *Gossip, what string, ok func([]Member) bool) {
	t.Helper()
	deadline := time.After(patience)
	for !ok(g.Members()) {
		select {
		case <-g.Changes():
		case <-deadline:
			t.Fatalf("%s: not reached: %+v", what, g.Members())
		}
	}
}

func has(id string, incarnation uint64) func([]Member) bool {
	return func(ms []Member) bool {
		for _, m := range ms {
			if m.ID == id && m.Incarnation == incarnation {
				return true
			}
		}
		return false
	}
}

func size(n int) func([]Member) bool { return func(ms []Member) bool { return len(ms) == n } }

// TestNewRunReplacesTheOld: while the old run still counts as alive, the node
// is back on another address, and is one member, the newer.
func TestNewRunReplacesTheOld(t *testing.T) {
	slow := config(1)
	slow.Timing.SuspicionMult = 1000
	ga, _ := start(t, slow)
	old := config(2)
	gb, end := start(t, old)
	join(t, gb, ga)
	await(t, ga, "old run", has(old.NodeID, 1))
	end()
	again := old
	again.Incarnation, again.PeerAddr = 2, "127.0.0.1:2"
	gb2, _ := start(t, again)
	join(t, gb2, ga)
	await(t, ga, "new run", func(ms []Member) bool {
		return len(ms) == 2 && ms[1].ID == old.NodeID && ms[1].Incarnation == 2 && ms[1].PeerAddr == "127.0.0.1:2" && ms[1].GossipAddr == gb2.Addr()
	})
}

func TestOwnChangesTravel(t *testing.T) {
	ga, _ := start(t, config(1))
	gb, _ := start(t, config(2))
	join(t, gb, ga)
	gb.SetDraining(true)
	gb.Tell(Told{Keyring: 9, Applied: 7})
	await(t, ga, "draining at 9", func(ms []Member) bool {
		return len(ms) == 2 && ms[1].Draining && ms[1].Keyring == 9 && ms[1].Applied == 7
	})
}

// TestHostileMetaIsNotLetIn: a member whose metadata is not ours never becomes
// one, and the log says why.
func TestHostileMetaIsNotLetIn(t *testing.T) {
	var logged syncBuffer
	cfg := config(1)
	cfg.Logger = slog.New(slog.NewTextHandler(&logged, nil))
	ga, _ := start(t, cfg)

	tr, err := listen(mustLoopback(t), netip.AddrPort{}, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	tr.start()
	mc := cfg.Timing.memberlist()
	mc.Name, mc.Label, mc.Transport, mc.LogOutput = "intruder", "mccd", tr, &syncBuffer{}
	mc.Delegate = hostile{}
	ml, err := memberlist.Create(mc)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ml.Shutdown() }()
	if _, err := ml.Join([]string{ga.Addr()}); err != nil {
		t.Fatal(err)
	}
	deadline := time.After(patience)
	for !strings.Contains(logged.String(), ErrMeta.Error()) {
		select {
		case <-time.After(time.Millisecond):
		case <-deadline:
			t.Fatalf("nothing in the log: %s", logged.String())
		}
	}
	for _, m := range ga.Members() {
		if m.ID != cfg.NodeID {
			t.Fatalf("let in: %+v", m)
		}
	}
}

type hostile struct{}

func (hostile) NodeMeta(int) []byte             { return bytes.Repeat([]byte{0xff}, 300) }
func (hostile) NotifyMsg([]byte)                {}
func (hostile) GetBroadcasts(int, int) [][]byte { return nil }
func (hostile) LocalState(bool) []byte          { return []byte{0xff} }
func (hostile) MergeRemoteState([]byte, bool)   {}

func TestLabelsKeepApart(t *testing.T) {
	other := config(2)
	other.Label = "other"
	ga, _ := start(t, config(1))
	gb, _ := start(t, other)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, err := gb.Join(ctx, []string{ga.Addr()}); !errors.Is(err, ErrNoPeer) {
		t.Fatalf("Join across labels: %v", err)
	}
}

func TestKey(t *testing.T) {
	key := bytes.Repeat([]byte{7}, 32)
	ca, cb, cc := config(1), config(2), config(3)
	ca.Keys, cb.Keys = [][]byte{key}, [][]byte{key}
	ga, _ := start(t, ca)
	gb, _ := start(t, cb)
	gc, _ := start(t, cc)
	join(t, gb, ga)
	await(t, ga, "two", size(2))
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, err := gc.Join(ctx, []string{ga.Addr()}); err == nil {
		t.Fatal("a node without the key joined")
	}
}

func TestRotateKeys(t *testing.T) {
	old, fresh := bytes.Repeat([]byte{7}, 32), bytes.Repeat([]byte{8}, 32)
	ca, cb, cc := config(1), config(2), config(3)
	ca.Keys, cb.Keys, cc.Keys = [][]byte{old}, [][]byte{old}, [][]byte{fresh}
	ga, _ := start(t, ca)
	gb, _ := start(t, cb)
	gc, _ := start(t, cc)
	join(t, gb, ga)
	await(t, ga, "two", size(2))
	for _, keys := range [][][]byte{{old, fresh}, {fresh, old}, {fresh}} {
		for _, g := range []*Gossip{ga, gb} {
			if err := g.SetKeys(keys); err != nil {
				t.Fatal(err)
			}
		}
	}
	join(t, gc, ga) // the new key is the only one
	await(t, gb, "three", size(3))
	if err := ga.SetKeys([][]byte{[]byte("short")}); err == nil {
		t.Fatal("a short key was taken")
	}
}

func TestAdmit(t *testing.T) {
	ca, cb := config(1), config(2)
	ca.Admit = func(id string) error { return errors.New("removed") }
	ga, _ := start(t, ca)
	gb, _ := start(t, cb)
	await(t, ga, "itself", size(1)) // it answers before it is in its own list
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, _ = gb.Join(ctx, []string{ga.Addr()})
	if n := len(ga.Members()); n != 1 {
		t.Fatalf("%d members after a refused one, want 1", n)
	}
}

func TestLifeCycle(t *testing.T) {
	cfg := config(1)
	cfg.Bind = loopback.Any(t)
	g, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	if err := g.Run(t.Context()); !errors.Is(err, ErrStopped) {
		t.Fatalf("Run after Close: %v", err)
	}
	if _, err := g.Join(t.Context(), []string{"127.0.0.1:1"}); !errors.Is(err, ErrStopped) {
		t.Fatalf("Join after Close: %v", err)
	}
	// The port is free again.
	cfg.Bind = g.Addr()
	g, end := start(t, cfg)
	<-g.Settled()
	end()
}

func TestJoinBeforeRunWaits(t *testing.T) {
	g, err := New(config(1))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = g.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := g.Join(ctx, []string{"127.0.0.1:1"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("Join = %v", err)
	}
}

// TestRejoin: a known address is tried until somebody answers there.
func TestRejoin(t *testing.T) {
	back := config(2)
	back.Bind = loopback.Any(t)
	gb, end := start(t, back)
	addr := gb.Addr()
	end()
	cfg := config(1)
	cfg.Known = func() []string { return []string{addr, addr, "not an address at all:x"} }
	ga, _ := start(t, cfg)
	<-ga.Settled()
	back.Bind, back.Incarnation = addr, 2
	start(t, back)
	await(t, ga, "rejoined", has(back.NodeID, 2))
}

func TestIPv6(t *testing.T) {
	ca, cb := config(1), config(2)
	ca.Bind, cb.Bind = "[::1]:0", "[::1]:0"
	probe, err := New(ca)
	if err != nil {
		t.Skip("no IPv6 loopback here: ", err)
	}
	_ = probe.Close()
	ga, _ := start(t, ca)
	gb, _ := start(t, cb)
	join(t, gb, ga)
	await(t, ga, "two", size(2))
}

func TestLogLevels(t *testing.T) {
	var b bytes.Buffer
	l := libraryLog(slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug})))
	for _, line := range []string{
		"[ERR] memberlist: one", "[WARN] memberlist: two", "[INFO] memberlist: three", "[DEBUG] four", "five", "[", "[]", "",
	} {
		l.Print(line)
	}
	for _, want := range []string{"level=WARN msg=one", "level=INFO msg=two", "level=DEBUG msg=three", "level=DEBUG msg=four", "level=DEBUG msg=five"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

func mustLoopback(t *testing.T) netip.AddrPort {
	t.Helper()
	ap, err := new(Config).address("bind", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ap
}

// syncBuffer is a buffer for several writers.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
