package peer

import (
	"context"
	"sync"
	"time"

	"github.com/mccd/mccd/peer/holders"
	"github.com/mccd/mccd/ring"
	"github.com/mccd/mccd/storage"
)

// Inventories in progress at one time, as asker and as answerer, and the waits
// between tries at one node.
const (
	inventoriesAtOnce = 4
	firstRetry        = 50 * time.Millisecond
	lastRetry         = 2 * time.Second
	// Who has told all rests before it is asked again, ever longer while that is
	// within restMemory: where nodes come and go by the second, everybody would
	// list all drives all the time. What it may hold is asked for meanwhile.
	lastRest, restMemory = 5 * time.Second, 30 * time.Second
)

// acquiring is what a node has to ask of others, and to tell them, because of
// who acts for what.
type acquiring struct {
	wake chan struct{}
	// answering bounds the inventories that are answered.
	answering chan struct{}

	mu      sync.Mutex // guards what follows
	tries   map[string]*try
	running int
	// chunks and records are what this node came to hold in another's place,
	// and has not told yet; lapsed are nodes that this one saw return.
	// Each bears a number of news, so that what comes while it is being told is
	// told too.
	chunks  map[storage.ChunkKey]uint64
	records map[storage.ObjectID]uint64
	lapsed  map[string]uint64
	news    uint64
}

// try is what becomes of asking or telling one node.
type try struct {
	running, wanted bool
	due             int64
	wait            time.Duration
	// rests is until when it is not asked again after it has told all; told is
	// when that was, 0 = never, and rest the next such time.
	rests, told int64
	rest        time.Duration
}

// recent reports whether it has told all not long ago.
func (t *try) recent(now int64) bool { return t.told != 0 && now-t.told < int64(restMemory) }

// maxUntold bounds what waits to be told; over it the others are made to ask.
const maxUntold = 1 << 15

func newAcquiring() *acquiring {
	return &acquiring{
		wake: make(chan struct{}, 1), answering: make(chan struct{}, inventoriesAtOnce),
		tries:  make(map[string]*try),
		chunks: make(map[storage.ChunkKey]uint64), records: make(map[storage.ObjectID]uint64),
		lapsed: make(map[string]uint64),
	}
}

func (a *acquiring) poke() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// begin reports whether key may be tried now, and counts it as running.
func (a *acquiring) begin(key string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	t := a.tries[key]
	if t == nil {
		t = &try{wait: firstRetry}
		a.tries[key] = t
	}
	if t.running || a.running >= inventoriesAtOnce || monotonic() < max(t.due, t.rests) {
		t.wanted = true
		return false
	}
	t.running, t.wanted = true, true
	a.running++
	return true
}

// end notes how a try ended; told tells that it was an inventory of all.
func (a *acquiring) end(key string, ok, told bool) {
	a.mu.Lock()
	t := a.tries[key]
	t.running = false
	a.running--
	now := monotonic()
	switch {
	case !ok:
		t.due = now + int64(t.wait)
		t.wait = min(2*t.wait, lastRetry)
	case !told:
		delete(a.tries, key)
	default:
		if !t.recent(now) {
			t.rest = 0
		}
		t.due, t.wait = 0, firstRetry
		t.told, t.rests = now, now+int64(t.rest)
		t.rest = min(max(2*t.rest, firstRetry), lastRest)
	}
	a.mu.Unlock()
	a.poke()
}

// retry lets all that failed be tried at once again: the view has changed.
func (a *acquiring) retry() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, t := range a.tries {
		t.due, t.wait = 0, firstRetry
	}
}

// prune forgets tries that nobody wants any more.
func (a *acquiring) prune(wants []holders.Want, news map[string]*tidings) {
	wanted := make(map[string]bool, len(wants)+len(news))
	for _, w := range wants {
		wanted[w.Node] = true
	}
	for id := range news {
		wanted[tellKey(id)] = true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for key, t := range a.tries {
		t.wanted = wanted[key]
		if !t.running && !t.wanted && !t.recent(monotonic()) {
			delete(a.tries, key)
		}
	}
}

// due returns how long until the next try, at most lastRetry; the end of a try
// wakes by itself.
func (a *acquiring) due() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	next := lastRetry
	if a.running >= inventoriesAtOnce {
		return next
	}
	for _, t := range a.tries {
		if !t.running && t.wanted {
			next = min(next, max(time.Millisecond, time.Duration(max(t.due, t.rests)-monotonic())))
		}
	}
	return next
}

// see lets the book know the present view, which it returns.
func (f *Filler) see() *ring.View {
	if view := f.cfg.Placement.View(); view == f.seen.Load() {
		return view
	}
	f.seeing.Lock()
	defer f.seeing.Unlock()
	view := f.cfg.Placement.View()
	if view == f.seen.Load() {
		return view
	}
	returned := f.book.See(view)
	f.seen.Store(view)
	f.acquiring.mu.Lock()
	f.acquiring.news++
	for _, id := range returned {
		f.acquiring.lapsed[id] = f.acquiring.news
	}
	f.acquiring.mu.Unlock()
	f.acquiring.retry()
	f.acquiring.poke()
	return view
}

// acquire asks the other nodes, until ctx ends, for what they hold of the
// partitions that this node begins to act for, and tells them what they cannot
// know.
func (f *Filler) acquire(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		changed := f.changes.next()
		f.see()
		wants, news := f.book.Wants(), f.collect()
		f.acquiring.prune(wants, news)
		f.askInventories(wants)
		f.tell(news)
		f.metrics.holders.Set(float64(f.book.Entries()))
		timer.Reset(f.acquiring.due())
		select {
		case <-changed:
		case <-f.acquiring.wake:
		case <-timer.C:
		case <-ctx.Done():
			return
		case <-f.ctx.Done():
			return
		}
	}
}

// askInventories starts the inventories that are wanted and due.
func (f *Filler) askInventories(wants []holders.Want) {
	for _, want := range wants {
		if !f.acquiring.begin(want.Node) {
			continue
		}
		if !f.detach(func() { f.acquiring.end(want.Node, f.takeInventory(want), true) }) {
			f.acquiring.end(want.Node, false, true)
			return
		}
	}
}

// acts reports whether this node is the acting owner of p by its view.
func (f *Filler) acts(view *ring.View, p place) bool {
	i, ok := view.Acting(uint64(p))
	return ok && int(i) == view.SelfIndex()
}

// Owned reports whether this node is the acting owner of the chunk by its
// present view, so that its copy is not a borrowed one.
func (f *Filler) Owned(key storage.ChunkKey) bool {
	return f.acts(f.cfg.Placement.View(), placeOf(key.Object, key.Index))
}

// Settled reports whether every other live node has told what it holds of the
// partitions that this node acts for.
func (f *Filler) Settled() bool {
	f.see()
	return f.book.Settled()
}

// takeInventory asks want's node; false = not all of it was told.
func (f *Filler) takeInventory(want holders.Want) bool {
	told, err := f.inventoryOf(want)
	result := "ok"
	switch {
	case err != nil:
		result = "failed"
		f.logger.Debug("node does not tell what it holds", "node", want.Node, "error", err)
	case told != want.Partitions:
		result = "partial"
	}
	f.metrics.inventories.WithLabelValues(result).Inc()
	return err == nil && told == want.Partitions
}
