package peer

import (
	"context"
	"sync"
	"time"

	"github.com/mccd/mccd/peer/holders"
)

// sweeps lists what the store has, one sweep at a time, for all who have asked
// before it began: after a restart of the cluster everybody asks at once. The
// zero value is ready.
type sweeps struct {
	mu      sync.Mutex // guards what follows
	running bool
	next    *sweep
}

// sweep is one listing; done is closed at its end, held and err set before.
type sweep struct {
	done chan struct{}
	held []holders.Held
	err  error
}

// sweepPause is how long a sweep rests after sweepRun chunks, each of which may
// cost a read: clients come first.
const (
	sweepRun   = 256
	sweepPause = time.Millisecond
)

// sweep returns what the store has, of a listing that began after the call.
func (t *sweeps) sweep(ctx context.Context, f *Filler) ([]holders.Held, error) {
	t.mu.Lock()
	if t.next == nil {
		t.next = &sweep{done: make(chan struct{})}
	}
	mine := t.next
	start := !t.running
	t.running = true
	t.mu.Unlock()
	if start && !f.detach(func() { t.run(f) }) {
		return nil, errStopped
	}
	select {
	case <-mine.done:
		return mine.held, mine.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (t *sweeps) run(f *Filler) {
	for {
		t.mu.Lock()
		s := t.next
		t.next = nil
		if s == nil {
			t.running = false
			t.mu.Unlock()
			return
		}
		t.mu.Unlock()
		for key, have := range f.cfg.Store.Keys {
			if have.Empty() {
				continue
			}
			s.held = append(s.held, holders.Held{Key: key, Have: have})
			if len(s.held)%sweepRun == 0 && !f.pause(sweepPause) {
				s.err = errStopped
				break
			}
		}
		close(s.done)
	}
}
