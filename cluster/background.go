package cluster

import (
	"context"
	"errors"
	"sync"
)

// errStopping ends what waits for a Cluster that has stopped.
var errStopping = errors.New("this node is stopping")

// background is what a Cluster does beside its membership.
type background struct {
	stopped chan struct{} // closed when Run is about to end

	spawning sync.Mutex // guards over, so that nothing begins after the wait
	over     bool
	wg       sync.WaitGroup
}

// spawn has f run; its ctx is done when Run ends, which waits for it. After
// that f is not called.
func (b *background) spawn(f func(ctx context.Context)) {
	b.spawning.Lock()
	defer b.spawning.Unlock()
	if b.over {
		return
	}
	b.wg.Go(func() {
		ctx, cancel := context.WithCancel(context.Background())
		done, watched := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(watched)
			select {
			case <-b.stopped:
			case <-done:
			}
			cancel()
		}()
		f(ctx)
		close(done)
		<-watched
	})
}

// ending tells what runs that the end has come; it may be called again.
func (b *background) ending() {
	b.spawning.Lock()
	defer b.spawning.Unlock()
	if !b.over {
		b.over = true
		close(b.stopped)
	}
}

// end ends everything and waits for it.
func (b *background) end() {
	b.ending()
	b.wg.Wait()
}
