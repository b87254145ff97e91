package peer

import (
	"sync"
	"time"
)

// beater serialises what is sent on a stream and, while nothing else is, lets
// the other side hear at each beat that this node lives: also while a drive or
// an origin is slow. The zero value is ready.
type beater struct {
	mu   sync.Mutex // serialises sends and guards sent
	sent bool       // something was sent since the last beat
}

// send runs one send.
func (b *beater) send(send func() error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sent = true
	return send()
}

// start begins to beat. The returned function ends it and waits for its end.
func (b *beater) start(every time.Duration, beat func() error) (stop func()) {
	quit, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		ticker := time.NewTicker(every)
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

// quiet beats unless something was sent since the last call.
func (b *beater) quiet(beat func() error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.sent {
		b.sent = false
		return nil
	}
	return beat()
}
