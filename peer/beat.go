package peer

import (
	"sync"
	"time"
)

// beater serialises what is sent on a stream and, while nothing else is, lets
// the other side hear at each beat that this node lives: also while a drive or
// an origin is slow. The zero value is ready.
type beater struct {
	mu   sync.Mutex // serialises sends and guards what follows
	last int64      // when something was last sent, by monotonic
	// every is the time between beats while nothing else is sent.
	every time.Duration
}

// send runs one send.
func (b *beater) send(send func() error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last = monotonic()
	return send()
}

// start begins to beat. The returned function ends it and waits for its end.
func (b *beater) start(every time.Duration, beat func() error) (stop func()) {
	b.mu.Lock()
	b.every = every
	b.mu.Unlock()
	quit, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		ticker := time.NewTicker(max(every/2, time.Millisecond))
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
			case <-quit:
				return
			}
			if b.quiet(beat) != nil {
				return // the other side is gone; the stream's context says so
			}
		}
	}()
	return func() {
		close(quit)
		<-stopped
	}
}

// quiet beats unless something was sent a moment ago: the other side never waits
// for more than one and a half beats.
func (b *beater) quiet(beat func() error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := monotonic()
	if now-b.last < int64(b.every)-int64(b.every)/8 {
		return nil
	}
	b.last = now
	return beat()
}
