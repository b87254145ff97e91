package peer

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// calls are the calls of other nodes being served, so that Close can end and
// await them on a server that is not the Filler's own. The zero value is ready.
type calls struct {
	mu     sync.Mutex // guards closed, and beginning against waiting
	closed bool
	wg     sync.WaitGroup
}

// errUnavailable refuses the calls that come after the end.
var errUnavailable = status.Error(codes.Unavailable, "node is stopping")

// begin counts one call. The context ends with ctx and with the Filler; done
// is called at the call's end.
func (f *Filler) begin(ctx context.Context) (_ context.Context, done func(), err error) {
	f.calls.mu.Lock()
	defer f.calls.mu.Unlock()
	if f.calls.closed {
		return nil, nil, errUnavailable
	}
	f.calls.wg.Add(1)
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(f.ctx, func() { cancel(context.Cause(f.ctx)) })
	return ctx, func() {
		stop()
		cancel(nil)
		f.calls.wg.Done()
	}, nil
}

// close lets no call begin any more and waits for those that run. A call that
// goes on, because its caller does not read what it is sent, is cut by sever.
func (c *calls) close(patience time.Duration, sever func()) {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		c.wg.Wait()
		close(ended)
	}()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-ended:
	case <-timer.C:
		if sever != nil {
			sever()
		}
		<-ended
	}
}
