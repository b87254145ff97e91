package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	"github.com/mccd/mccd/cluster/gossip"
	"github.com/mccd/mccd/cluster/state"
	"github.com/mccd/mccd/cluster/wire"
	clusterv1 "github.com/mccd/mccd/proto/mccd/cluster/v1"
	"github.com/mccd/mccd/ring"
)

// Cluster is a node's part in whatever cluster it is in, of one at first. All
// methods are safe for concurrent use.
type Cluster struct {
	cfg     Config
	log     *slog.Logger
	metrics *metrics
	id      string
	folders folders
	port    *wire.Port
	server  *grpc.Server
	// bind is the gossip's address, with its port once that is bound; it and
	// incarnation are used by whoever opens a membership.
	bind        string
	incarnation atomic.Uint64

	current atomic.Pointer[membership]
	changes chan changeRequest
	// joinSlot is held by the one join in progress.
	joinSlot  chan struct{}
	joinState joinState
	// pending is the join that an earlier run has left; nil = none.
	pending *intent
	doors   doors
	// relearned is the generation for which Raft's log was given up last.
	relearned atomic.Uint32
	background

	view     atomic.Pointer[ring.View]
	draining atomic.Bool
	offered  atomic.Pointer[offer]
	nudged   chan struct{} // of 1: publish again

	// publishing is held while a View is made; it guards rings.
	publishing sync.Mutex
	rings      []*ring.Ring // the latest few, newest first

	subscribers
}

// changeRequest asks Run to replace the membership.
type changeRequest struct {
	of   *membership
	act  func(context.Context) error
	done chan error
}

// New opens the node's membership, or makes it a cluster of one, and publishes
// the first View; it starts no goroutine. Close, or the end of Run, releases
// what it took, the Listener included.
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
	c := &Cluster{
		cfg: cfg, log: cfg.Logger, id: id, metrics: newMetrics(cfg.Registerer), folders: folders{cfg.DataDir},
		bind: cfg.Bind, changes: make(chan changeRequest), joinSlot: make(chan struct{}, 1), nudged: make(chan struct{}, 1), doors: newDoors(),
		background: background{stopped: make(chan struct{})},
	}
	if c.port, err = wire.New(wire.Config{
		Listener: cfg.Listener, Policy: policy{c}, Dial: c.dial, Logger: c.log.With("part", "wire"), Registerer: cfg.Registerer,
	}); err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	if err := c.begin(); err != nil {
		return nil, errors.Join(fmt.Errorf("cluster: %w", err), c.port.Close())
	}
	c.registerGauges()
	r := rules()
	c.server = grpc.NewServer(append([]grpc.ServerOption{
		grpc.Creds(c.port.ServerCredentials()),
		grpc.InTapHandle(r.Tap()),
		grpc.ChainUnaryInterceptor(r.Unary()), grpc.ChainStreamInterceptor(r.Stream()),
	}, cfg.ServerOptions...)...)
	clusterv1.RegisterClusterServer(c.server, &service{c: c})
	return c, nil
}

func (c *Cluster) begin() error {
	if err := c.boot(); err != nil {
		return err
	}
	if i, ok, err := loadIntent(c.folders.path(joiningFolder)); err != nil {
		c.log.Error("a join cannot go on", "err", err)
	} else if ok {
		c.pending = &i
	}
	m, err := c.open()
	if err != nil {
		return err
	}
	c.current.Store(m)
	if err := c.publish(); err != nil {
		return errors.Join(err, m.discard())
	}
	return nil
}

// Registrar is the gRPC server of the port between nodes: services are
// registered before Run.
func (c *Cluster) Registrar() grpc.ServiceRegistrar { return c.server }

// ID returns the node's id.
func (c *Cluster) ID() string { return c.id }

// GossipAddr returns the gossip address that others are told; empty while this
// node waits for its cluster to be founded.
func (c *Cluster) GossipAddr() string {
	if m := c.current.Load(); m.gossip != nil {
		return m.gossip.Addr()
	}
	return ""
}

// State returns the replicated state as far as this node knows it; never nil.
// It must not be modified.
func (c *Cluster) State() *state.State { return c.current.Load().state() }

// DialNode opens a connection for gRPC to the node id, whose certificate it
// has checked.
func (c *Cluster) DialNode(ctx context.Context, id, addr string) (net.Conn, error) {
	return c.port.DialNode(ctx, wire.ProtocolGRPC, id, addr)
}

// Port gives the credentials that go with DialNode.
func (c *Cluster) Port() *wire.Port { return c.port }

func (c *Cluster) dial(ctx context.Context, addr string) (net.Conn, error) {
	if c.cfg.Allow != nil && !c.cfg.Allow(addr) {
		return nil, errors.New("address is cut off")
	}
	var d net.Dialer
	return d.DialContext(ctx, "tcp", addr)
}

// Run takes part until ctx is done, and returns nil then. The node keeps its
// place: others see it as failed until it is back. It may be called once, and
// what is registered at Registrar must have stopped when ctx ends.
func (c *Cluster) Run(ctx context.Context) error {
	portCtx, stopPort := context.WithCancel(context.WithoutCancel(ctx))
	defer stopPort()
	inner, stopInner := context.WithCancel(ctx)
	defer stopInner()
	var wg sync.WaitGroup
	ended := make(chan error, 3)
	wg.Go(func() { ended <- part(portCtx, "port between nodes", c.port.Run) })
	wg.Go(func() {
		ended <- part(portCtx, "server for nodes", func(context.Context) error { return c.server.Serve(c.port.GRPC()) })
	})
	wg.Go(func() { c.handRaft(portCtx) })
	wg.Go(func() { c.watch(inner) })
	wg.Go(func() {
		c.resumeLeave(inner)
		c.resume(inner)
	})
	wg.Go(func() { <-inner.Done(); c.ending() })
	lived := make(chan error, 1)
	go func() { lived <- c.live(inner) }()
	var err error
	select {
	case err = <-lived:
		lived <- nil
	case err = <-ended:
	}
	stopInner()
	err = errors.Join(err, <-lived) // hands leadership on, over the port
	c.server.Stop()
	stopPort()
	err = errors.Join(err, c.port.Close())
	c.end()
	wg.Wait()
	return err
}

func part(ctx context.Context, name string, run func(context.Context) error) error {
	err := run(ctx)
	if ctx.Err() != nil {
		return nil //nolint:nilerr // it was told to end
	}
	return fmt.Errorf("%s: %w", name, errors.Join(err, errors.New("it ended by itself")))
}

// live runs one membership after the other until ctx is done.
func (c *Cluster) live(ctx context.Context) error {
	for {
		m := c.current.Load()
		mctx, cancel := context.WithCancel(ctx)
		done := make(chan error, 1)
		go func() { done <- m.run(mctx) }()
		var req changeRequest
		for req.act == nil {
			select {
			case err := <-done:
				cancel()
				if ctx.Err() != nil {
					err = nil
				}
				return err
			case r := <-c.changes:
				if r.of != m {
					r.done <- errors.New("this node's cluster has changed meanwhile")
					continue
				}
				req = r
			}
		}
		cancel()
		err := errors.Join(<-done, ctx.Err())
		if err == nil {
			err = req.act(ctx)
		}
		next, oerr := c.open()
		if oerr != nil {
			req.done <- errors.Join(err, oerr)
			return fmt.Errorf("open membership: %w", oerr)
		}
		c.current.Store(next)
		c.offered.Store(nil)
		if perr := c.publish(); perr != nil {
			c.log.Error("keep the former view", "err", perr)
		}
		req.done <- err
	}
}

// change stops membership m, has act change its folder, and starts what is
// there then.
func (c *Cluster) change(ctx context.Context, m *membership, act func(context.Context) error) error {
	req := changeRequest{of: m, act: act, done: make(chan error, 1)}
	select {
	case c.changes <- req:
	case <-ctx.Done():
		return ctx.Err()
	case <-c.stopped:
		return errStopping
	}
	return <-req.done // once begun, it is finished
}

// handRaft gives Raft's streams to the present membership.
func (c *Cluster) handRaft(ctx context.Context) {
	for {
		conn, err := c.port.AcceptRaft(ctx)
		if err != nil {
			return
		}
		c.spawn(func(context.Context) { c.current.Load().stream.take(conn, conn.Peer().NodeID) })
	}
}

// Close releases what a Cluster holds whose Run was never called.
func (c *Cluster) Close() error {
	c.end()
	return errors.Join(c.current.Load().discard(), c.port.Close())
}

// nextIncarnation returns one that is higher than any of an earlier start.
func (c *Cluster) nextIncarnation(b *book) uint64 {
	n := max(c.incarnation.Load()+1, uint64(max(1, time.Now().UnixMilli())))
	if p, ok := b.of(c.id); ok {
		n = max(n, min(p.Incarnation+1, gossip.MaxIncarnation))
	}
	c.incarnation.Store(n)
	return n
}

// SetDraining tells all nodes whether this one's successors are to act for it.
// It does not wait.
func (c *Cluster) SetDraining(draining bool) {
	c.draining.Store(draining)
	if m := c.current.Load(); m.gossip != nil {
		m.gossip.SetDraining(draining)
	}
	c.nudge()
}

func (c *Cluster) nudge() { nudge(c.nudged) }

// nudge leaves a signal in a channel of 1.
func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Sever cuts the connections of the gRPC server between nodes at once.
func (c *Cluster) Sever() { c.server.Stop() }
