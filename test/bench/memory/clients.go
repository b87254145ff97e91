package memory

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/bench/stage"
)

const (
	// pause is between two requests of a client that asks for pieces.
	pause = 500 * time.Millisecond
	// slowBuffer is a slow reader's buffer in the kernel, slowRead what it
	// takes at each slowEvery: 32 KiB/s.
	slowBuffer = 16 << 10
	slowRead   = 8 << 10
	slowEvery  = 250 * time.Millisecond
)

// client works on one connection until done is closed.
type client func(ctx context.Context, done <-chan struct{}) error

// client returns what client i does: every other one reads a whole object
// slowly, the others ask for one piece after another.
func (r *run) client(i int) client {
	object := path(i % r.Objects)
	if i%2 == 0 {
		return func(ctx context.Context, done <-chan struct{}) error { return r.slow(ctx, object, done) }
	}
	return func(ctx context.Context, done <-chan struct{}) error { return r.pieces(ctx, object, uint64(i), done) }
}

// work starts all clients; the first that fails cancels.
func (r *run) work(ctx context.Context, cancel context.CancelCauseFunc, done <-chan struct{}) *sync.WaitGroup {
	wg := new(sync.WaitGroup)
	for i := range r.Clients {
		wg.Go(func() {
			if err := r.client(i)(ctx, done); err != nil && ctx.Err() == nil {
				cancel(fmt.Errorf("client %d: %w", i, err))
			}
		})
	}
	return wg
}

// pieces asks for pieces of 1 MiB at random, with pauses.
func (r *run) pieces(ctx context.Context, object string, seed uint64, done <-chan struct{}) error {
	c, err := stage.Dial(ctx, r.node.Addr, 0)
	if err != nil {
		return err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, c.Close)()
	rnd := rand.New(rand.NewPCG(seed, 0))
	for {
		off := rnd.Int64N(objectSize/storage.PieceSize) * storage.PieceSize
		if _, err := c.Get(object, storage.Span{Off: off, End: off + storage.PieceSize}, false); err != nil {
			return err
		}
		if over(done, pause) {
			return nil
		}
	}
}

// slow asks for a whole object and takes a little of it at a time.
func (r *run) slow(ctx context.Context, object string, done <-chan struct{}) error {
	c, err := stage.Dial(ctx, r.node.Addr, slowBuffer)
	if err != nil {
		return err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, c.Close)()
	resp, err := c.Ask(object, storage.Span{})
	if err != nil {
		return err
	}
	buf := make([]byte, slowRead)
	for {
		c.Wait()
		if _, err := io.ReadFull(resp.Body, buf); err != nil {
			if errors.Is(err, io.EOF) {
				return errors.New("the object ended before the measurement")
			}
			return err
		}
		if over(done, slowEvery) {
			return nil
		}
	}
}

// over waits for d and reports whether done was closed before.
func over(done <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}
