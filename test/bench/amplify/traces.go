package amplify

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/bench/stage"
	"github.com/mccd/mccd/test/faultorigin"
	"github.com/mccd/mccd/test/process/herd"
)

// quiet is how long the origin must have sent nothing to count as settled:
// what was asked for ahead of a client that went away still comes.
const quiet = 500 * time.Millisecond

// settled waits until the origin is quiet and returns what it sent in all.
func (r *run) settled(ctx context.Context) (int64, error) {
	last, err := r.stage.Spent(ctx)
	for err == nil {
		select {
		case <-time.After(quiet):
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
		var now int64
		if now, err = r.stage.Spent(ctx); now == last {
			break
		}
		last = now
	}
	return last, err
}

// herd: every client reads all of one object, half of them whole, half in
// pieces over two streams.
func (r *run) herd(ctx context.Context) error {
	return r.crowd(ctx, "/files/herd", 0, nil)
}

// restarts is a paced herd while one node after another is stopped in good
// order and started again.
func (r *run) restarts(ctx context.Context) error {
	return r.crowd(ctx, "/files/restarts", r.Size/10, func(ctx context.Context) error {
		for _, n := range r.stage.Nodes {
			if err := n.Stop(ctx); err != nil {
				return err
			}
			if err := n.Restart(ctx); err != nil {
				return err
			}
			if err := r.stage.Together(ctx); err != nil {
				return err
			}
		}
		return nil
	})
}

// join is a paced herd while a node more joins.
func (r *run) join(ctx context.Context) error {
	return r.crowd(ctx, "/files/join", r.Size/5, func(ctx context.Context) error {
		n, err := r.stage.Add(nil)
		if err != nil {
			return err
		}
		if err := n.Restart(ctx); err != nil {
			return err
		}
		return r.stage.Together(ctx)
	})
}

// crowd lets all clients read one object, each at rate bytes per second (0 =
// as fast as they can), while meanwhile runs. Every byte is checked.
func (r *run) crowd(ctx context.Context, path string, rate int64, meanwhile func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	r.object(path, r.Size)
	content := make([]byte, r.Size)
	faultorigin.Fill(content, path, faultorigin.DefaultVersion, 0)
	object := &herd.Object{Host: stage.Host, Path: path, Size: r.Size, Check: herd.Equal(content)}
	r.ask(path, object.Span(), r.Size)
	nodes := make([]string, 0, len(r.stage.Nodes))
	for _, n := range r.stage.Nodes {
		nodes = append(nodes, n.Addr)
	}
	results := make([]*herd.Result, r.Clients)
	var wg sync.WaitGroup
	for i := range r.Clients {
		wg.Go(func() {
			at := i % len(nodes)
			c := &herd.Client{Nodes: append(append([]string{}, nodes[at:]...), nodes[:at]...), Probe: i%2 == 0, Tries: 30}
			plan, streams := object.Whole(), 1
			if i%2 == 0 {
				plan, streams = object.Pieces(), 2
			}
			c.Rate = rate / int64(streams)
			results[i] = c.Read(ctx, object, plan, streams)
		})
	}
	var err error
	if meanwhile != nil {
		err = meanwhile(ctx)
	}
	wg.Wait()
	if err != nil {
		return err
	}
	total := new(herd.Result)
	for _, result := range results {
		total.Add(result)
	}
	switch {
	case len(total.Wrong) > 0:
		return fmt.Errorf("wrong bytes at %s", total.Wrong[0])
	case len(total.Unread) > 0:
		return fmt.Errorf("not read: %s", total.Unread[0])
	case meanwhile == nil && len(total.Failures) > 0:
		return fmt.Errorf("%d requests failed, the first: %w", len(total.Failures), total.Failures[0])
	}
	return nil
}

// sparse: short ranges far apart in a large object, each at a random node by
// one of a few clients.
func (r *run) sparse(ctx context.Context) error {
	const path, clients = "/files/sparse", 8
	size := int64(r.Ranges) * 8 * storage.PieceSize
	r.object(path, size)
	var next atomic.Int64
	errs := make([]error, clients)
	var wg sync.WaitGroup
	for k := range clients {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(k), 7))
			for errs[k] == nil && ctx.Err() == nil && next.Add(1) <= int64(r.Ranges) {
				length := 4<<10 + rnd.Int64N(storage.PieceSize-4<<10)
				off := rnd.Int64N(size - length)
				errs[k] = r.get(ctx, rnd.IntN(len(r.stage.Nodes)), path, storage.Span{Off: off, End: off + length}, size)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// get reads one range over a connection of its own.
func (r *run) get(ctx context.Context, node int, path string, span storage.Span, size int64) error {
	c, err := stage.Dial(ctx, r.stage.Nodes[node].Addr, 0)
	if err != nil {
		return err
	}
	defer c.Close()
	r.ask(path, span, size)
	_, err = c.Get(path, span, true)
	return err
}

// windows is the Windows agent that gives up in the middle: two streams take
// pieces in turn, each after a probe of two bytes, until half is read.
func (r *run) windows(ctx context.Context) error {
	const path = "/files/windows"
	r.object(path, r.Size)
	var next atomic.Int64
	errs := make([]error, 2)
	var wg sync.WaitGroup
	for k := range errs {
		wg.Go(func() { errs[k] = r.stream(ctx, path, &next) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// stream is one of the two.
func (r *run) stream(ctx context.Context, path string, next *atomic.Int64) error {
	c, err := stage.Dial(ctx, r.stage.Nodes[0].Addr, 0)
	if err != nil {
		return err
	}
	defer c.Close()
	probe := storage.Span{End: 2}
	r.ask(path, probe, r.Size)
	if _, err := c.Get(path, probe, true); err != nil {
		return err
	}
	for {
		off := (next.Add(1) - 1) * storage.PieceSize
		if off >= r.Size/2 {
			return nil
		}
		span := storage.Span{Off: off, End: off + storage.PieceSize}
		r.ask(path, span, r.Size)
		if _, err := c.Get(path, span, true); err != nil {
			return err
		}
	}
}
