package gossip

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
)

// ErrStopped tells that the gossip does not run any more, or its node has left.
var ErrStopped = errors.New("gossip has stopped")

// Gossip is one node's part in the gossip of its cluster. All methods are safe
// for concurrent use.
type Gossip struct {
	cfg     Config
	log     *slog.Logger
	keys    *memberlist.Keyring // nil = not encrypted
	tr      *transport
	changes chan struct{} // of 1: members changed
	lost    chan struct{} // of 1: a member is gone
	dirty   chan struct{} // of 1: own metadata changed
	started chan struct{} // closed once ml is set
	settled chan struct{} // closed after the first rejoin pass
	stopped chan struct{} // closed when Run or Close ends it
	running atomic.Bool
	once    struct{ settled, stopped sync.Once }
	ml      *memberlist.Memberlist

	mu sync.Mutex
	// self is what this node says of itself, meta its encoding.
	self Member
	meta []byte
	// members are the nodes that answer, by memberlist's name.
	members map[string]Member
	// calls counts joins in progress; none may begin once closing is set.
	calls   sync.WaitGroup
	closing bool
}

// New checks cfg and binds; it starts no goroutine. Close, or the end of Run,
// releases the sockets.
func New(cfg Config) (*Gossip, error) {
	cfg.Timing = cfg.Timing.withDefaults()
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Label == "" {
		cfg.Label = "mccd"
	}
	keys, err := newKeyring(cfg.Keys)
	if err != nil {
		return nil, err
	}
	if len(cfg.Label) > memberlist.LabelMaxSize {
		return nil, fmt.Errorf("gossip label has %d bytes, the most is %d", len(cfg.Label), memberlist.LabelMaxSize)
	}
	bind, err := cfg.address("gossip bind address", cfg.Bind)
	if err != nil {
		return nil, err
	}
	var advertise netip.AddrPort
	if cfg.Advertise != "" {
		if advertise, err = cfg.address("gossip advertise address", cfg.Advertise); err != nil {
			return nil, err
		}
	}
	g := &Gossip{
		cfg: cfg, log: cfg.Logger, keys: keys,
		changes: make(chan struct{}, 1), lost: make(chan struct{}, 1), dirty: make(chan struct{}, 1),
		started: make(chan struct{}), settled: make(chan struct{}), stopped: make(chan struct{}),
		members: make(map[string]Member),
		self: Member{
			ID: cfg.NodeID, Name: cfg.Name, Zone: cfg.Zone, PeerAddr: cfg.PeerAddr,
			Incarnation: cfg.Incarnation, FormatVersion: cfg.FormatVersion, Started: time.Now(),
		},
	}
	if g.meta, err = encodeMeta(g.self); err != nil {
		return nil, err
	}
	if g.tr, err = listen(bind, advertise, cfg.Allow, g.log); err != nil {
		return nil, err
	}
	g.self.GossipAddr = g.tr.advertise.String()
	return g, nil
}

// Addr returns the "ip:port" that others are told.
func (g *Gossip) Addr() string { return g.tr.advertise.String() }

// Bound returns the "ip:port" of the sockets.
func (g *Gossip) Bound() string { return g.tr.bound().String() }

// Run gossips until ctx is done, and returns nil then; others see the node as
// failed. It may be called once.
func (g *Gossip) Run(ctx context.Context) error {
	if !g.running.CompareAndSwap(false, true) {
		return ErrStopped
	}
	defer g.stop()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	g.tr.start()
	ml, err := memberlist.Create(g.library())
	if err != nil {
		_ = g.tr.Shutdown()
		return fmt.Errorf("start gossip: %w", err)
	}
	g.ml = ml
	close(g.started)

	var wg sync.WaitGroup
	wg.Go(func() { g.rejoin(ctx) })
	wg.Go(func() { g.publishMeta(ctx) })
	<-ctx.Done()
	cancel()
	g.stop()
	err = ml.Shutdown()
	wg.Wait()
	g.calls.Wait()
	if err != nil {
		return fmt.Errorf("stop gossip: %w", err)
	}
	return nil
}

// stop refuses new calls and lets waiting ones go.
func (g *Gossip) stop() {
	g.mu.Lock()
	g.closing = true
	g.mu.Unlock()
	g.once.stopped.Do(func() { close(g.stopped) })
}

// Close releases the sockets of a Gossip whose Run was never called; after
// Run it does nothing.
func (g *Gossip) Close() error {
	if !g.running.CompareAndSwap(false, true) {
		return nil
	}
	g.stop()
	return g.tr.Shutdown()
}

func (g *Gossip) library() *memberlist.Config {
	c := g.cfg.Timing.memberlist()
	c.Name = fmt.Sprintf("%s-%x", g.cfg.NodeID, g.cfg.Incarnation)
	c.Transport = g.tr
	c.Label = g.cfg.Label
	c.Keyring = g.keys
	c.Logger = libraryLog(g.log)
	c.Delegate, c.Events, c.Alive = (*delegate)(g), (*delegate)(g), (*delegate)(g)
	return c
}

// Members returns the nodes that answer, this one included once Run has
// begun, sorted by id. Of several runs of one node it returns the newest.
func (g *Gossip) Members() []Member {
	g.mu.Lock()
	newest := make(map[string]Member, len(g.members))
	for _, m := range g.members {
		if old, ok := newest[m.ID]; !ok || m.Incarnation > old.Incarnation {
			newest[m.ID] = m
		}
	}
	g.mu.Unlock()
	ms := make([]Member, 0, len(newest))
	for _, m := range newest {
		ms = append(ms, m)
	}
	slices.SortFunc(ms, func(a, b Member) int { return cmp.Compare(a.ID, b.ID) })
	return ms
}

// Changes is signalled when Members may have changed; several changes may give one signal. It is never closed.
func (g *Gossip) Changes() <-chan struct{} { return g.changes }

// Settled is closed once every known address has been tried for the first
// time after the start: from then on, who is not in Members does not answer.
func (g *Gossip) Settled() <-chan struct{} { return g.settled }

// SetDraining tells all others whether this node drains. It does not wait.
func (g *Gossip) SetDraining(draining bool) {
	g.change(func(m *Member) { m.Draining = draining })
}

// Told is what a node tells all others of its knowledge.
type Told struct {
	// Keyring is the version of the keyring that it has taken in, ViewDigest
	// its ring's, Applied the last index of the replicated state.
	Keyring, ViewDigest, Applied uint64
}

// Tell has all others know t. It does not wait.
func (g *Gossip) Tell(t Told) {
	g.change(func(m *Member) { m.Told = t })
}

// change edits what this node says of itself.
func (g *Gossip) change(edit func(*Member)) {
	g.mu.Lock()
	next := g.self
	edit(&next)
	changed := next != g.self
	if changed {
		meta, err := encodeMeta(next)
		if err != nil {
			// New has encoded the same fields; only numbers and flags differ.
			g.log.Error("encode own gossip metadata", "err", err)
			changed = false
		} else {
			g.self, g.meta = next, meta
		}
	}
	g.mu.Unlock()
	if changed {
		nudge(g.dirty)
	}
}

// publishMeta broadcasts own metadata whenever it changed.
func (g *Gossip) publishMeta(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-g.dirty:
		}
		g.broadcast()
	}
}

// broadcast queues own metadata for gossip and waits a little for it to go
// out. The library now and then misses that it did, so this is no proof; the
// next push/pull carries it as well.
func (g *Gossip) broadcast() {
	if err := g.ml.UpdateNode(4 * g.cfg.Timing.Gossip); err != nil {
		g.log.Debug("gossip own change", "err", err)
	}
}

// enter registers a call into memberlist; done must be called when ok.
func (g *Gossip) enter(ctx context.Context) error {
	select {
	case <-g.started:
	case <-g.stopped:
		return ErrStopped
	case <-ctx.Done():
		return ctx.Err()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closing {
		return ErrStopped
	}
	g.calls.Add(1)
	return nil
}

// nudge leaves a signal in a channel of 1.
func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// memberName tells whether name is one that the node id gives itself.
func memberName(name, id string) bool { return strings.HasPrefix(name, id+"-") }
