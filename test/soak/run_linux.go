package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/mccd/mccd/test/faultorigin"
	"github.com/mccd/mccd/test/process"
)

// config says how much and how long.
type config struct {
	out                   io.Writer
	dir, to               string
	nodes, clients        int
	contentMiB, drivesMiB int
	length                time.Duration
	// settle bounds the wait for what is let go after the last client; memory
	// files go when nobody asked for them in a minute.
	settle time.Duration
}

// soak runs it all and returns what was seen, also after an error.
func soak(ctx context.Context, cfg config) (_ *result, err error) {
	listener, err := process.ListenOrigin("127.0.0.1")
	if err != nil {
		return nil, err
	}
	stuff := newContent(cfg.contentMiB)
	origin, err := faultorigin.Listen(faultorigin.Config{Listener: listener, Objects: stuff.objects()})
	if err != nil {
		return nil, err
	}
	defer origin.Close()
	cluster, err := boot(ctx, cfg, origin.Addr())
	if err != nil {
		return nil, err
	}
	defer func() {
		err = errors.Join(err, cluster.Close(30*time.Second))
		if err != nil {
			cluster.DumpLogs(os.Stderr)
		}
	}()
	c := &crowd{content: stuff}
	for _, n := range cluster.Nodes {
		c.addrs = append(c.addrs, n.Addr)
	}
	r := &result{config: cfg, crowd: c}
	// A first few clients make what a node makes once: connections between
	// nodes, buffers, open files.
	warming, warm := context.WithTimeout(ctx, min(5*time.Second, cfg.length/4))
	c.run(warming, min(20, cfg.clients))
	warm()
	if r.before, err = quiet(ctx, cluster.Nodes, nil, 10*time.Second); err != nil {
		return r, err
	}
	if err := r.measure(ctx, cluster); err != nil {
		return r, err
	}
	r.origin = originBytes(ctx, cluster)
	r.after, err = quiet(ctx, cluster.Nodes, r.before, cfg.settle)
	return r, err
}

func boot(ctx context.Context, cfg config, origin string) (*process.Cluster, error) {
	bin, err := process.Build(ctx, cfg.dir)
	if err != nil {
		return nil, err
	}
	cluster, err := process.New(process.Config{
		Bin: bin, Dir: cfg.dir, Nodes: cfg.nodes,
		DriveSize: fmt.Sprintf("%dMiB", cfg.drivesMiB/cfg.nodes),
		Origins: []process.Origin{{
			Name: "soak", Hosts: []string{cdn}, Profile: "do", Connect: origin, AllowPrivate: true,
		}},
	})
	if err != nil {
		return nil, err
	}
	ready, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := cluster.Start(ready); err != nil {
		return nil, errors.Join(err, cluster.Close(10*time.Second))
	}
	return cluster, nil
}

// measure lets the clients run and samples meanwhile.
func (r *result) measure(ctx context.Context, cluster *process.Cluster) error {
	running, stop := context.WithTimeout(ctx, r.length)
	defer stop()
	r.crowd.bytes.Store(0)
	r.crowd.requests.Store(0)
	var wg sync.WaitGroup
	wg.Go(func() { r.crowd.run(running, r.clients) })
	err := watch(running, cluster.Nodes, r.limit(), func(s sample) { r.samples = append(r.samples, s) })
	stop()
	wg.Wait()
	if err == nil {
		err = ctx.Err()
	}
	return err
}

func originBytes(ctx context.Context, cluster *process.Cluster) float64 {
	total := 0.0
	for _, n := range cluster.Nodes {
		if m, err := n.Metrics(ctx); err == nil {
			total += m.Sum("mccd_origin_bytes_total")
		}
	}
	return total
}

// quiet waits until no node has more open or running than before, or, without
// a before, until nothing changes any more; it returns what it saw last.
func quiet(ctx context.Context, nodes []*process.Node, before []sample, most time.Duration) ([]sample, error) {
	deadline := time.Now().Add(most)
	var last []sample
	for {
		var now []sample
		for _, n := range nodes {
			s, err := take(ctx, n, 0, 0)
			if err != nil {
				return last, err
			}
			now = append(now, s)
		}
		still := len(last) > 0
		for i := range now {
			switch {
			case !now[i].answered:
				still = false
			case before != nil:
				still = still && len(left(before[i], now[i], len(nodes))) == 0
			case len(last) > 0:
				still = still && now[i].goroutines == last[i].goroutines && now[i].sockets == last[i].sockets
			}
		}
		last = now
		if still || time.Now().After(deadline) || ctx.Err() != nil {
			return last, ctx.Err()
		}
		wait(ctx, time.Second)
	}
}

// left names what a node has more of than before the clients came.
func left(before, after sample, nodes int) []string {
	var out []string
	more := func(what string, was, is, slack int) {
		if is > was+slack {
			out = append(out, fmt.Sprintf("node %d: %s %d, before %d", after.node+1, what, is, was))
		}
	}
	// Up to four connections to and from each other node are made when they are
	// needed, each with its goroutines, and kept.
	more("goroutines", before.goroutines, after.goroutines, 12+8*3*(nodes-1))
	more("sockets", before.sockets, after.sockets, 4+8*(nodes-1))
	more("other descriptors", before.other, after.other, 2)
	more("removed files still open", 0, after.deleted, 0)
	return out
}
