package gateway

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// egress bounds the bytes per second that leave for clients. Who may not send
// yet waits for a turn; turns go around the clients that wait, by address, so
// that one with many connections gets no more than one with a single one. It
// is safe for concurrent use and owns a timer while somebody waits.
type egress struct {
	rate  float64 // bytes per second
	part  int64   // the most that is sent by one turn
	burst float64
	waits prometheus.Counter

	mu      sync.Mutex // guards the rest
	tokens  float64    // bytes that may be sent; below 0 after a turn
	at      time.Time  // when tokens was right
	clients map[netip.Addr]*turns
	order   []*turns // of those that wait
	timer   *time.Timer
}

// turns are those that one client waits for.
type turns struct {
	client  netip.Addr
	waiting []*turn
}

type turn struct {
	n     int64
	ready chan struct{} // closed when it is there
}

// newEgress returns nil for no bound.
func newEgress(rate int64, waits prometheus.Counter) *egress {
	if rate <= 0 {
		return nil
	}
	part := min(max(rate/64, 16<<10), 1<<20)
	burst := max(float64(part), float64(rate)/20)
	return &egress{rate: float64(rate), part: part, burst: burst, waits: waits, tokens: burst, at: time.Now(), clients: map[netip.Addr]*turns{}}
}

// take asks for n bytes for client, and returns nil where they may leave at
// once.
func (e *egress) take(client netip.Addr, n int64) *turn {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.refill()
	if len(e.order) == 0 && e.tokens > 0 {
		e.tokens -= float64(n)
		return nil
	}
	e.waits.Inc()
	t := &turn{n: n, ready: make(chan struct{})}
	c := e.clients[client]
	if c == nil {
		c = &turns{client: client}
		e.clients[client] = c
		e.order = append(e.order, c)
	}
	c.waiting = append(c.waiting, t)
	e.arm()
	return t
}

// leave gives a turn up that was not used.
func (e *egress) leave(client netip.Addr, t *turn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	select {
	case <-t.ready:
		e.tokens += float64(t.n)
		return
	default:
	}
	c := e.clients[client]
	if c.waiting = slices.DeleteFunc(c.waiting, func(other *turn) bool { return other == t }); len(c.waiting) == 0 {
		delete(e.clients, client)
		e.order = slices.DeleteFunc(e.order, func(other *turns) bool { return other == c })
	}
}

func (e *egress) refill() {
	now := time.Now()
	e.tokens = min(e.burst, e.tokens+now.Sub(e.at).Seconds()*e.rate)
	e.at = now
}

// arm wakes give when there is something to give. mu is held.
func (e *egress) arm() {
	if e.timer != nil || len(e.order) == 0 {
		return
	}
	wait := max(time.Duration(-e.tokens/e.rate*float64(time.Second)), 0) + time.Millisecond
	e.timer = time.AfterFunc(wait, e.give)
}

// give lets those go whose turn it is.
func (e *egress) give() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.timer = nil
	for e.refill(); e.tokens > 0 && len(e.order) > 0; {
		c := e.order[0]
		t := c.waiting[0]
		e.order, c.waiting = e.order[1:], c.waiting[1:]
		if len(c.waiting) > 0 {
			e.order = append(e.order, c)
		} else {
			delete(e.clients, c.client)
		}
		e.tokens -= float64(t.n)
		close(t.ready)
	}
	e.arm()
}

// pace waits until n bytes may leave for x's client. long, if not nil, is called
// when that takes restAfter.
func (x *exchange) pace(n int64, long func()) error {
	e := x.g.egress
	if e == nil {
		return nil
	}
	t := e.take(x.client, n)
	if t == nil {
		return nil
	}
	return e.wait(x.r.Context(), x.client, t, long)
}

func (e *egress) wait(ctx context.Context, client netip.Addr, t *turn, long func()) error {
	var resting <-chan time.Time
	if long != nil {
		timer := time.NewTimer(restAfter)
		defer timer.Stop()
		resting = timer.C
	}
	for {
		select {
		case <-t.ready:
			return nil
		case <-resting:
			long()
			resting = nil
		case <-ctx.Done():
			e.leave(client, t)
			return ctx.Err()
		}
	}
}
