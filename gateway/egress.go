package gateway

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// A client that gets less than 4,000 B/s for 20 s avoids the cache for every
// host for 15 minutes (docs/clients.md section 5). So there are only as many
// responses as get leastPace each, and a turn comes within roundTime and
// overdue at the latest.
const (
	leastPace = 8 << 10  // bytes per second
	leastPart = 16 << 10 // bytes by one turn
	// roundTime is how long it takes at most that all responses send a part, where
	// parts are longer than leastPart.
	roundTime = time.Second
	// overdue is how long a turn waits before it goes first, whosever it is:
	// many clients may share one address.
	overdue = 2 * time.Second
)

// egress bounds the bytes per second that leave for clients. Who may not send
// yet waits for a turn; turns go around the clients that wait, by address, so
// that one with many connections gets no more than one with a single one, as
// long as each of them gets what it needs. It is safe for concurrent use and
// owns a timer while somebody waits.
type egress struct {
	rate  float64 // bytes per second
	part  int64   // the most that is sent by one turn
	burst float64
	waits prometheus.Counter

	mu      sync.Mutex // guards the rest
	active  int        // responses that were entered
	tokens  float64    // bytes that may be sent; below 0 after a turn
	at      time.Time  // when tokens was right
	clients map[netip.Addr]*turns
	order   []*turns // of those that wait
	queue   []*turn  // by age; some of them may be over
	timer   *time.Timer
}

// turns are those that one client waits for.
type turns struct {
	client  netip.Addr
	waiting []*turn
}

type turn struct {
	of    *turns
	n     int64
	since time.Time
	over  bool          // given or given up
	ready chan struct{} // closed when it is there
}

// newEgress returns nil for no bound.
func newEgress(rate int64, waits prometheus.Counter) *egress {
	if rate <= 0 {
		return nil
	}
	part := min(max(rate/64, leastPart), 1<<20)
	burst := max(float64(part), float64(rate)/20)
	return &egress{rate: float64(rate), part: part, burst: burst, waits: waits, tokens: burst, at: time.Now(), clients: map[netip.Addr]*turns{}}
}

// enter counts a response, until exit; false: there are as many as the bound
// lets have enough.
func (e *egress) enter() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if float64(e.active+1)*leastPace > e.rate {
		return false
	}
	e.active++
	return true
}

func (e *egress) exit() {
	e.mu.Lock()
	e.active--
	e.mu.Unlock()
}

// most returns how many bytes a turn may be of now.
func (e *egress) most() int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	share := int64(e.rate * roundTime.Seconds() / float64(max(e.active, 1)))
	return min(e.part, max(share, leastPart))
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
	c := e.clients[client]
	if c == nil {
		c = &turns{client: client}
		e.clients[client] = c
		e.order = append(e.order, c)
	}
	t := &turn{of: c, n: n, since: e.at, ready: make(chan struct{})}
	c.waiting = append(c.waiting, t)
	e.queue = append(e.queue, t)
	e.arm()
	return t
}

// leave gives a turn up that was not used.
func (e *egress) leave(t *turn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	select {
	case <-t.ready:
		e.tokens += float64(t.n)
		return
	default:
	}
	e.remove(t)
}

// remove takes a turn out of the books, and its client where that waits for no
// other. mu is held.
func (e *egress) remove(t *turn) {
	c := t.of
	t.over = true
	if c.waiting = slices.DeleteFunc(c.waiting, func(other *turn) bool { return other == t }); len(c.waiting) == 0 {
		delete(e.clients, c.client)
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
		t := e.next()
		e.tokens -= float64(t.n)
		close(t.ready)
	}
	e.arm()
}

// next takes the turn that comes next out of the books. Somebody waits, and mu
// is held.
func (e *egress) next() *turn {
	for e.queue[0].over {
		e.queue = e.queue[1:]
	}
	t := e.queue[0]
	if e.at.Sub(t.since) < overdue {
		c := e.order[0]
		t = c.waiting[0]
		if len(c.waiting) > 1 {
			e.order = append(e.order[1:], c)
		}
	}
	e.remove(t)
	return t
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
	return e.wait(x.r.Context(), t, long)
}

func (e *egress) wait(ctx context.Context, t *turn, long func()) error {
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
			e.leave(t)
			return ctx.Err()
		}
	}
}
