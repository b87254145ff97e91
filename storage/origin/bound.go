package origin

import (
	"container/list"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/mccd/mccd/storage"
)

// bound limits the requests in progress, at each host and at all together. Who
// waits is served in the order of coming at its host, and hosts take turns, so
// that a busy or slow one takes no place from the others but while they ask for
// nothing. A host that nobody asks takes no memory.
type bound struct {
	total int // at all hosts

	mu    sync.Mutex // guards what follows
	began time.Time
	inUse int
	hosts map[string]*places
	// turns are the hosts at which somebody waits; the next to be served first.
	turns *list.List // of *places
}

// places are those at one host.
type places struct {
	host  string
	limit int // as the last who came had it
	inUse int
	// waiting are those without a place, the longest first.
	waiting *list.List // of *ticket
	turn    *list.Element
	// hold is how long a place is held, about, 0 = not known; since is the sum
	// of the moments, after bound.began, at which those in use were taken.
	hold, since time.Duration
}

// ticket is one who waits; ready is closed when the place is its own, release
// set before.
type ticket struct {
	ready   chan struct{}
	release func()
}

func newBound(total int) *bound {
	return &bound{total: total, began: time.Now(), hosts: make(map[string]*places), turns: list.New()}
}

// acquire takes one of limit places at host, waiting for it at most wait. It
// fails with storage.ErrBusy, at once where the queue does not drain that fast,
// with ErrUnwanted when unwanted is closed before, or with ctx's error.
// release gives the place back; it may be called once.
func (b *bound) acquire(ctx context.Context, host string, limit int, wait time.Duration, unwanted <-chan struct{}) (release func(), err error) {
	b.mu.Lock()
	p := b.hosts[host]
	if p == nil {
		p = &places{host: host, waiting: list.New()}
		b.hosts[host] = p
	}
	p.limit = limit
	if p.waiting.Len() == 0 && p.inUse < p.limit && b.inUse < b.total {
		release = b.take(p)
		b.mu.Unlock()
		return release, nil
	}
	if n := p.waiting.Len(); p.due(time.Since(b.began)) > wait {
		b.mu.Unlock()
		return nil, fmt.Errorf("%w: %d requests wait at this origin already", storage.ErrBusy, n)
	}
	if p.turn == nil {
		p.turn = b.turns.PushBack(p)
	}
	t := &ticket{ready: make(chan struct{})}
	at := p.waiting.PushBack(t)
	b.mu.Unlock()

	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-t.ready:
		return t.release, nil
	case <-timer.C:
		err = fmt.Errorf("%w: %d requests at this origin already", storage.ErrBusy, limit)
	case <-unwanted:
		err = ErrUnwanted
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case <-t.ready:
		return t.release, nil // it came just now
	default:
	}
	p.waiting.Remove(at)
	b.rest(p)
	return nil, err
}

// due returns how long one more would wait, as far as that can be told: places
// are held as long as they were, and those in use for not less than they are by
// now, on average.
func (p *places) due(now time.Duration) time.Duration {
	if p.inUse == 0 {
		return 0 // others have all places; it is p's turn soon
	}
	hold := max(p.hold, now-p.since/time.Duration(p.inUse))
	return time.Duration(p.waiting.Len()+1) * hold / time.Duration(p.limit)
}

// take gives out a place at p. mu is held.
func (b *bound) take(p *places) (release func()) {
	at := time.Since(b.began)
	p.inUse++
	b.inUse++
	p.since += at
	return func() { b.release(p, at) }
}

// release gives the place at p that was taken at at to those whose turn it is.
func (b *bound) release(p *places, at time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	took := time.Since(b.began) - at
	p.inUse--
	b.inUse--
	p.since -= at
	if p.hold == 0 {
		p.hold = took
	}
	p.hold = (3*p.hold + took) / 4
	for b.inUse < b.total && b.grant() {
	}
	b.rest(p)
}

// grant gives a place to the one who has waited longest at the host whose turn
// it is; false = there is none to give. mu is held.
func (b *bound) grant() bool {
	for at := b.turns.Front(); at != nil; at = at.Next() {
		p := at.Value.(*places) //nolint:forcetypeassert // only these are put in
		if p.inUse >= p.limit {
			continue
		}
		t := p.waiting.Remove(p.waiting.Front()).(*ticket) //nolint:forcetypeassert // only these are put in
		t.release = b.take(p)
		b.turns.MoveToBack(at)
		b.rest(p)
		close(t.ready)
		return true
	}
	return false
}

// rest forgets what p does not need. mu is held.
func (b *bound) rest(p *places) {
	if p.waiting.Len() > 0 {
		return
	}
	if p.turn != nil {
		b.turns.Remove(p.turn)
		p.turn = nil
	}
	if p.inUse == 0 && b.hosts[p.host] == p {
		delete(b.hosts, p.host)
	}
}

// waiting returns how many wait, at all hosts.
func (b *bound) waiting() (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for at := b.turns.Front(); at != nil; at = at.Next() {
		n += at.Value.(*places).waiting.Len() //nolint:forcetypeassert // only these are put in
	}
	return n
}
