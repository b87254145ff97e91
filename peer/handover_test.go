package peer

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mccd/mccd/ring"
	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/disk"
	"github.com/mccd/mccd/test/faultorigin"
)

// A node that hands over what it holds leaves without a byte lost.
func TestHandOver(t *testing.T) {
	c := newCluster(t, 3)
	view := func(index uint64, members ...int) {
		for _, n := range c.nodes {
			n.among(epoch(index), members...)
		}
	}
	view(1, 0, 1, 2)
	c.settle()
	const size = 20 << 20
	ctx := within(t, 100*time.Second)
	var paths []string
	for i := range 4 {
		path := fmt.Sprintf("/%s/%d", t.Name(), i)
		c.origin.Add(faultorigin.Object{Path: path, Size: size})
		paths = append(paths, path)
	}
	read := func(what string, nodes ...int) {
		t.Helper()
		for _, path := range paths {
			for _, i := range nodes {
				if _, err := c.nodes[i].read(ctx, c.whole(path), "1"); err != nil {
					t.Fatalf("%s: %v", what, err)
				}
			}
			if got := c.origin.Ledger().MaxTimes(path); got != 1 {
				t.Fatalf("%s: a byte was fetched %d times", what, got)
			}
		}
	}
	read("before", 0)
	before := len(c.origin.Ledger().Entries())
	for _, n := range c.nodes {
		n.states[0] = ring.Draining
		n.among(epoch(1), 0, 1, 2)
	}
	var done, total atomic.Int64
	if err := c.nodes[0].HandOver(ctx, func(d, of int64) { done.Store(d); total.Store(of) }); err != nil {
		t.Fatal(err)
	}
	if done.Load() != total.Load() || total.Load() < 4 {
		t.Errorf("progress ended at %d of %d", done.Load(), total.Load())
	}
	c.kill(0)
	c.nodes[0].states[0] = ring.Failed
	view(2, 1, 2)
	read("after", 1, 2)
	if got := len(c.origin.Ledger().Entries()) - before; got != 0 {
		t.Errorf("the origin was asked %d times after the node left", got)
	}
}

// A hand-over that nobody takes ends with its context and says what is left.
func TestHandOverToNobody(t *testing.T) {
	c := newCluster(t, 2)
	path := c.path(0)
	c.origin.Add(faultorigin.Object{Path: path, Size: 1 << 20})
	if _, err := c.nodes[0].read(within(t, 60*time.Second), c.request(path, piece(0)), "1"); err != nil {
		t.Fatal(err)
	}
	c.kill(1)
	c.see(1, ring.Failed)
	ctx, cancel := context.WithCancel(t.Context())
	told := make(chan error, 1)
	go func() { told <- c.nodes[0].HandOver(ctx, nil) }()
	cancel()
	if err := <-told; !errors.Is(err, context.Canceled) {
		t.Errorf("HandOver: %v", err)
	}
}

// stuckStore cannot open chunks for a while.
type stuckStore struct {
	Store
	left *atomic.Int64
}

func (s stuckStore) Lookup(key storage.ChunkKey) (*disk.Chunk, error) {
	if s.left.Add(-1) >= 0 {
		return nil, storage.ErrBusy
	}
	return s.Store.Lookup(key)
}

// What cannot be opened at the first try is handed over all the same.
func TestHandOverOfWhatCannotBeOpenedAtOnce(t *testing.T) {
	var stuck atomic.Int64
	c := newCluster(t, 2, func(n *node, cfg *Config) {
		if n.i == 0 {
			cfg.Store = stuckStore{cfg.Store, &stuck}
		}
	})
	ctx := within(t, 30*time.Second)
	path := c.path(0)
	c.origin.Add(faultorigin.Object{Path: path, Size: 100_000})
	content, err := c.nodes[0].Open(ctx, c.request(path, storage.Span{End: 100_000}))
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	if _, err := c.nodes[0].readFrom(ctx, content, storage.Span{End: 100_000}, "1"); err != nil {
		t.Fatal(err)
	}
	stuck.Store(3)
	if err := c.nodes[0].HandOver(ctx, nil); err != nil {
		t.Fatal(err)
	}
	chunk, err := c.nodes[1].store.Lookup(content.Object().Key(0))
	if err != nil {
		t.Fatalf("the heir: %v", err)
	}
	chunk.Release()
}
