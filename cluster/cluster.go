package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mccd/mccd/cluster/gossip"
	"github.com/mccd/mccd/ring"
)

// ErrLeft tells that the node has left its cluster and is one of its own until it is
// restarted.
var ErrLeft = errors.New("this node has left its cluster: restart it to join one")

// source tells who has a place in the ring. It is the gossiped directory now;
// a replicated state takes its place.
type source interface {
	// Members returns the records with a place, sorted by id.
	Members() []record
	// Changed is signalled after a change.
	Changed() <-chan struct{}
}

// liveness tells who answers.
type liveness interface {
	Members() []gossip.Member
}

// Cluster publishes Views. All methods are safe for concurrent use.
type Cluster struct {
	cfg     Config
	log     *slog.Logger
	metrics *metrics
	id      string
	dir     *directory
	gossip  *gossip.Gossip
	members source
	alive   liveness

	view     atomic.Pointer[ring.View]
	draining atomic.Bool
	left     atomic.Bool
	nudged   chan struct{} // of 1: publish again

	// presumed are the members of an earlier run, held for alive until every
	// known address has been tried. Written before Run; settled tells its end.
	presumed map[string]bool
	settled  atomic.Bool

	// publishing is held while a View is made; it guards rings.
	publishing sync.Mutex
	rings      []*ring.Ring // the latest few, newest first

	// saving is the one slot for writing the members file; who has it may use
	// saved, what the file holds.
	saving chan struct{}
	saved  string

	subscribers
}

// New binds the gossip and publishes the first View, made of this node and the
// members that it knew in its former run; it starts no goroutine. Close, or
// the end of Run, releases the sockets.
func New(cfg Config) (*Cluster, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	id, err := LoadNodeID(cfg.DataDir)
	if err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	if cfg.Name == "" {
		cfg.Name = id[:8]
	}
	kept, err := loadMembers(cfg.DataDir)
	if err != nil {
		cfg.Logger.Warn("start without the members of the former run", "err", err)
	}
	c := &Cluster{
		cfg: cfg, log: cfg.Logger, id: id, metrics: newMetrics(cfg.Registerer),
		nudged: make(chan struct{}, 1), saving: make(chan struct{}, 1), presumed: make(map[string]bool),
	}
	incarnation := uint64(max(1, time.Now().UnixMilli()))
	for _, r := range kept {
		if r.id == id {
			incarnation = max(incarnation, min(r.incarnation+1, gossip.MaxIncarnation))
		} else if !r.left {
			c.presumed[r.id] = true
		}
	}
	own := record{id: id, name: cfg.Name, zone: cfg.Zone, peerAddr: cfg.PeerAddr, incarnation: incarnation}
	c.dir = newDirectory(own, kept, time.Now, c.log)
	c.gossip, err = gossip.New(gossip.Config{
		NodeID: id, Name: cfg.Name, Zone: cfg.Zone, PeerAddr: cfg.PeerAddr,
		Incarnation: incarnation, FormatVersion: ring.FormatVersion,
		Bind: cfg.Bind, Advertise: cfg.Advertise, Label: cfg.Label, Keys: keysOf(cfg.SecretKey),
		State: c.dir, Known: c.known, Allow: cfg.Allow, Timing: cfg.Timing, Logger: c.log,
	})
	if err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	c.dir.located(c.gossip.Addr())
	c.members, c.alive = c.dir, c.gossip
	if err := c.publish(); err != nil {
		return nil, errors.Join(fmt.Errorf("cluster: %w", err), c.gossip.Close())
	}
	return c, nil
}

// ID returns the node's id.
func (c *Cluster) ID() string { return c.id }

// GossipAddr returns the gossip address that others are told: what another
// node joins.
func (c *Cluster) GossipAddr() string { return c.gossip.Addr() }

// View returns the present View; it is never nil.
func (c *Cluster) View() *ring.View { return c.view.Load() }

// Run gossips and publishes Views until ctx is done, and returns nil then.
// The node keeps its place in the cluster: others see it as failed until it is
// back. It may be called once.
func (c *Cluster) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	gossiped := make(chan error, 1)
	go func() { gossiped <- c.gossip.Run(ctx) }()
	err := c.watch(ctx, gossiped)
	c.save()
	return err
}

// Close releases the sockets of a Cluster whose Run was never called; after
// Run it does nothing.
func (c *Cluster) Close() error { return c.gossip.Close() }

// watch publishes until the gossip has ended and ctx is done.
func (c *Cluster) watch(ctx context.Context, gossiped <-chan error) error {
	tick := max(time.Millisecond, min(c.cfg.ForgetAfter/8, 10*time.Minute))
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	var (
		settled = c.gossip.Settled()
		done    = ctx.Done()
		gather  <-chan time.Time // set while events are gathered
		ticked  = time.Now()
	)
	for {
		select {
		case err := <-gossiped:
			gossiped = nil
			if err != nil {
				return err
			}
			if done == nil {
				return nil
			}
			continue
		case <-done:
			if done = nil; gossiped == nil {
				return nil
			}
			continue // the gossip ends too
		case <-settled:
			settled = nil
			c.settled.Store(true)
		case <-c.gossip.Changes():
		case <-c.members.Changed():
		case <-c.nudged:
		case <-ticker.C:
			now := time.Now()
			c.forget(min(now.Sub(ticked), 2*tick))
			ticked = now
			c.save()
			continue
		case <-gather:
			gather = nil
			if err := c.publish(); err != nil {
				c.log.Error("keep the former view", "err", err)
			}
			c.save()
			continue
		}
		if gather == nil {
			gather = time.After(c.cfg.Settle)
		}
	}
}

// known returns the addresses that the rejoin loop tries.
func (c *Cluster) known() []string {
	var addrs []string
	for _, r := range c.dir.Members() {
		if r.id != c.id {
			addrs = append(addrs, r.gossipAddr)
		}
	}
	if len(c.gossip.Members()) <= 1 {
		addrs = append(addrs, c.cfg.Seeds...)
	}
	return addrs
}

// forget takes the place of members that were missed for very long. Only a
// node that sees more than half of the members alive does: one that is cut off
// would forget all others, and bring that back with it.
func (c *Cluster) forget(elapsed time.Duration) {
	if c.left.Load() {
		return
	}
	alive := make(map[string]bool)
	for _, m := range c.alive.Members() {
		alive[m.ID] = true
	}
	members, seen := c.dir.Members(), 0
	for _, r := range members {
		if alive[r.id] {
			seen++
		}
	}
	c.dir.miss(alive, elapsed, c.cfg.ForgetAfter, 2*seen > len(members))
}

// SetDraining tells all nodes whether this one's successors are to act for it.
// It does not wait.
func (c *Cluster) SetDraining(draining bool) {
	c.draining.Store(draining)
	c.gossip.SetDraining(draining)
	c.nudge()
}

func (c *Cluster) nudge() {
	select {
	case c.nudged <- struct{}{}:
	default:
	}
}

// Join makes this node's cluster and that of a peer one; addrs are gossip
// addresses of peers, "host" or "host:port", of which one that answers is
// enough. When it returns, View shows the result. Run must have begun, or
// begin before ctx ends.
func (c *Cluster) Join(ctx context.Context, addrs []string) error {
	if c.left.Load() {
		return ErrLeft
	}
	if len(addrs) == 0 {
		return errors.New("join: no peer named: give the gossip address of a running node, host or host:7946")
	}
	n, err := c.gossip.Join(ctx, addrs)
	if err != nil {
		return fmt.Errorf("join: %w; check that mccd runs there, that the port is its gossip port (gossip_listen, 7946 unless set), and that nothing between blocks TCP and UDP", err)
	}
	c.log.Info("joined", "answered", n)
	c.settled.Store(true)
	if err := c.publish(); err != nil {
		return fmt.Errorf("join: %w", err)
	}
	return nil
}

// Leave gives this node's place in the ring away and tells the others. When it
// returns, the node is a cluster of one, gossips no more and knows nobody;
// Run goes on until its ctx is done. The error says that the others could not
// be told in time: they see the node as failed until they forget it.
func (c *Cluster) Leave(ctx context.Context) error {
	if !c.left.CompareAndSwap(false, true) {
		return ErrLeft
	}
	c.dir.leave()
	err := c.gossip.Leave(ctx)
	c.dir.alone()
	if perr := c.publish(); perr != nil {
		err = errors.Join(err, perr)
	}
	c.save()
	return err
}

func keysOf(key []byte) [][]byte {
	if len(key) == 0 {
		return nil
	}
	return [][]byte{key}
}
