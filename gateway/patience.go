package gateway

import (
	"context"
	"errors"
	"sync"
	"time"
)

// patience is the context under which a source is asked. It bounds each wait
// for a byte: it ends with errNoByte when one lasts longer than limit. Nothing
// is done for that, and the client is not watched, until somebody asks for its
// Done, that is, has to wait. It is safe for concurrent use but for renew, rest
// and end, which are the exchange's.
type patience struct {
	parent context.Context
	limit  time.Duration

	mu     sync.Mutex      // guards the rest
	ctx    context.Context // nil until Done
	cancel context.CancelCauseFunc
	timer  *time.Timer
	over   bool
}

// Done begins the wait.
func (p *patience) Done() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx == nil {
		p.ctx, p.cancel = context.WithCancelCause(p.parent)
		if p.over {
			p.cancel(nil)
		} else {
			p.timer = time.AfterFunc(p.limit, func() { p.cancel(errNoByte) })
		}
	}
	return p.ctx.Done()
}

func (p *patience) now() context.Context {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx != nil {
		return p.ctx
	}
	return p.parent
}

// Err is nil until somebody has waited or the node cuts its responses.
func (p *patience) Err() error { return p.now().Err() }

// Value lets package context find the real one.
func (p *patience) Value(key any) any { return p.now().Value(key) }

// Deadline returns none: the end of a wait moves.
func (p *patience) Deadline() (time.Time, bool) { return time.Time{}, false }

// started returns the timer of the waits, nil when there was none yet.
func (p *patience) started() *time.Timer {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.timer
}

// renew begins a new wait.
func (p *patience) renew() {
	if t := p.started(); t != nil {
		t.Reset(p.limit)
	}
}

// rest ends a wait.
func (p *patience) rest() {
	if t := p.started(); t != nil {
		t.Stop()
	}
}

// end ends the last wait.
func (p *patience) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
	if p.ctx != nil {
		p.timer.Stop()
		p.cancel(nil)
	}
}

// explain gives an error that came from the end of a wait its cause.
func (p *patience) explain(err error) error {
	if err != nil && errors.Is(context.Cause(p), errNoByte) {
		return errNoByte
	}
	return err
}
