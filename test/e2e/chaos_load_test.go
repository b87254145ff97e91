package e2e_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/mccd/mccd/test/process"
	"github.com/mccd/mccd/test/process/herd"
)

// loadPace is the speed of one client of a load: enough to be in the middle of
// something whenever a fault strikes, and little beside what nodes can do.
const loadPace = 3 * mib

// load is clients that download objects, one after the other, each at a node
// of its own choice, until it ends. A request that fails at a node that was
// not down is a fault.
type load struct {
	b      *bed
	begun  time.Time
	ending chan struct{}
	wg     sync.WaitGroup

	// mu guards what follows.
	mu      sync.Mutex
	objects []*herd.Object
	total   herd.Result
	// down are the times in which a node's clients may fail, by address; one
	// that has not ended is open.
	down map[string][]outage
	// asked are the nodes that clients choose from, turns how often each client
	// has chosen.
	asked []*process.Node
	turns []int
}

type outage struct{ from, to time.Time }

// download starts clients that read objects. Nodes that do not run now are down
// until comesUp.
func (b *bed) download(clients int, seed uint64, objects ...*herd.Object) *load {
	l := &load{
		b: b, begun: time.Now(), ending: make(chan struct{}), objects: objects,
		down: map[string][]outage{}, asked: slices.Clone(b.Nodes), turns: make([]int, clients),
	}
	for _, n := range b.Nodes {
		if !n.Running() {
			l.down[n.Addr] = []outage{{from: l.begun}}
		}
	}
	for i := range clients {
		rnd := rand.New(rand.NewPCG(seed, 1<<32+uint64(i)))
		l.wg.Go(func() { l.run(i, rnd) })
	}
	return l
}

func (l *load) run(client int, rnd *rand.Rand) {
	for {
		select {
		case <-l.ending:
			return
		default:
		}
		o, nodes := l.choose(client, rnd)
		c := &herd.Client{Nodes: nodes, Rate: loadPace}
		plan := o.Pieces()
		if rnd.IntN(2) == 0 {
			plan = o.Whole()
		}
		r := c.Read(l.b.ctx, o, plan, 1)
		l.mu.Lock()
		l.total.Add(r)
		l.mu.Unlock()
	}
}

// choose returns an object and the nodes of one client, the one it asks first.
func (l *load) choose(client int, rnd *rand.Rand) (*herd.Object, []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.turns[client]++
	var nodes []string
	for _, i := range rnd.Perm(len(l.asked)) {
		nodes = append(nodes, l.asked[i].Addr)
	}
	return l.objects[rnd.IntN(len(l.objects))], nodes
}

// add has the clients read these as well.
func (l *load) add(objects ...*herd.Object) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.objects = append(l.objects, objects...)
}

// only has the clients ask these nodes and no other, and waits until none asks
// any other.
func (l *load) only(nodes ...*process.Node) {
	l.b.Helper()
	l.mu.Lock()
	l.asked = slices.Clone(nodes)
	before := slices.Clone(l.turns)
	l.mu.Unlock()
	if _, err := l.b.within(agreeLimit, func(context.Context) error {
		l.mu.Lock()
		defer l.mu.Unlock()
		for i := range before {
			if l.turns[i] == before[i] {
				return fmt.Errorf("client %d still reads", i)
			}
		}
		return nil
	}); err != nil {
		l.b.Fatal(err)
	}
}

// goesDown excuses failures at nodes from now on, comesUp no longer.
func (l *load) goesDown(nodes ...*process.Node) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range nodes {
		l.down[n.Addr] = append(l.down[n.Addr], outage{from: time.Now()})
	}
}

func (l *load) comesUp(nodes ...*process.Node) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range nodes {
		if at := l.down[n.Addr]; len(at) > 0 {
			at[len(at)-1].to = time.Now()
		}
	}
}

// excuses reports whether the node was down at some time of the request: a slow
// client reads on for a moment what the dead node had sent.
func (l *load) excuses(f herd.Failure) bool {
	return slices.ContainsFunc(l.down[f.Addr], func(o outage) bool {
		return !f.At.Before(o.from) && (o.to.IsZero() || !f.Began.After(o.to))
	})
}

// sofar returns the bytes that arrived in downloads that have ended.
func (l *load) sofar() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total.Bytes
}

// more waits until n more bytes have arrived.
func (l *load) more(limit time.Duration, n int64) {
	l.b.Helper()
	want := l.sofar() + n
	if _, err := l.b.within(limit, func(_ context.Context) error {
		if got := l.sofar(); got < want {
			return fmt.Errorf("%d bytes arrived, not %d", got, want)
		}
		return nil
	}); err != nil {
		l.b.Errorf("downloads do not go on: %v", err)
	}
}

// end lets the clients finish what they read and judges what they saw.
func (l *load) end() *herd.Result {
	l.b.Helper()
	close(l.ending)
	l.wg.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	excused := len(l.total.Failures)
	l.total.Failures = slices.DeleteFunc(l.total.Failures, l.excuses)
	excused -= len(l.total.Failures)
	l.b.clean(&l.total)
	if l.total.Bytes == 0 {
		l.b.Error("nothing was downloaded")
	}
	l.b.Logf("downloads: %d MiB in %d requests over %v, %d failed at live nodes, %d at dead ones; longest gap %v; answers %v",
		l.total.Bytes/mib, l.total.Requests, time.Since(l.begun).Round(time.Millisecond), len(l.total.Failures), excused,
		l.total.Gap.Round(time.Millisecond), l.total.Sources)
	return &l.total
}
