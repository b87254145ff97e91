package node

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// part is one thing that runs: started in order, stopped in reverse, each with
// a grace of its own.
type part struct {
	name  string
	run   func(ctx context.Context) error
	grace time.Duration
}

// parts lists what runs, in the order of starting. The gateway is last: nobody
// is served before all that it needs runs, and everything that it needs goes on
// while its responses in flight end.
func (n *Node) parts() []part {
	parts := []part{
		{"disk", n.store.Run, 5 * time.Second},
		// The port between nodes stays open until the fill has drained.
		{"cluster", n.cluster.Run, 10 * time.Second},
		{"peer", n.filler.Run, 15 * time.Second},
		{"views", n.followViews, time.Second},
		{"purges", func(ctx context.Context) error {
			return n.purges.sweep(ctx, n.filler, n.cluster.ID(), n.cfg.Timeouts.CatchUp, n.log.With("part", "purges"))
		}, 5 * time.Second},
	}
	parts = append(parts, part{"https", n.https.run, time.Second})
	if n.ops != nil {
		parts = append(parts, part{"ops", n.ops.Run, 2 * time.Second})
	}
	if n.admin != nil {
		parts = append(parts, part{"admin", n.admin.Run, 3 * time.Second})
	}
	return append(parts, part{"gateway", n.gateway.Run, n.cfg.Timeouts.ShutdownGrace + time.Second})
}

// Run serves until ctx ends, then drains and stops every part in reverse order.
// It returns nil after a clean stop, else what failed. It may be called once.
func (n *Node) Run(ctx context.Context) error {
	type ended struct {
		i   int
		err error
	}
	parts := n.parts()
	ends := make(chan ended, len(parts))
	cancels := make([]context.CancelFunc, len(parts))
	running := make([]bool, len(parts))
	base := context.WithoutCancel(ctx)
	for i, p := range parts {
		partCtx, cancel := context.WithCancel(base)
		cancels[i], running[i] = cancel, true
		go func() { ends <- ended{i, p.run(partCtx)} }()
	}
	defer func() {
		for _, cancel := range cancels {
			cancel()
		}
	}()

	var errs []error
	note := func(e ended) {
		running[e.i] = false
		if e.err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", parts[e.i].name, e.err))
		}
	}
	select {
	case <-ctx.Done():
	case e := <-ends:
		note(e)
		if e.err == nil {
			errs = append(errs, fmt.Errorf("%s ended by itself", parts[e.i].name))
		}
	}
	n.draining.Store(true)
	n.cluster.SetDraining(true)
	// The other nodes first, while clients are served on: once the gateway has
	// ended, its port refuses, which costs a client 15 minutes
	// (docs/clients.md section 5), so what follows it is to be short.
	n.filler.Drain()
	for i := len(parts) - 1; i >= 0; i-- {
		cancels[i]()
		timeout := time.NewTimer(parts[i].grace)
		for running[i] {
			select {
			case e := <-ends:
				note(e)
			case <-timeout.C:
				errs = append(errs, fmt.Errorf("%s did not stop within %s", parts[i].name, parts[i].grace))
				running[i] = false
			}
		}
		timeout.Stop()
	}
	return errors.Join(append(errs, n.Close())...)
}

// followViews tells the fill of nodes that left or returned.
func (n *Node) followViews(ctx context.Context) error {
	views, cancel := n.cluster.Subscribe()
	defer cancel()
	for {
		select {
		case <-views:
			n.filler.ViewChanged()
		case <-ctx.Done():
			return nil
		}
	}
}
