package faultorigin

import (
	"context"
	"sync"
	"time"
)

// pace spreads bytes over time, for one answer or for a whole server. A nil
// pace sets no bound.
type pace struct {
	rate int64
	mu   sync.Mutex
	next time.Time // when the bytes already promised will have passed
}

func newPace(rate int64) *pace {
	if rate <= 0 {
		return nil
	}
	return &pace{rate: rate}
}

// slice returns how many bytes to send at once: what passes in 20 ms.
func (p *pace) slice(n int) int {
	if p == nil {
		return n
	}
	return max(1, min(n, int(p.rate/50)))
}

// wait returns when n bytes may be sent, or ctx's error.
func (p *pace) wait(ctx context.Context, n int) error {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	now := time.Now()
	if p.next.Before(now) {
		p.next = now
	}
	due := p.next.Sub(now)
	p.next = p.next.Add(time.Duration(float64(n) / float64(p.rate) * float64(time.Second)))
	p.mu.Unlock()
	return pause(ctx, due)
}

// pause returns after d, or at once with ctx's error.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return context.Cause(ctx)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
