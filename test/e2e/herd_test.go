package e2e_test

import (
	"sync"
	"testing"
	"time"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/faultorigin"
	"github.com/mccd/mccd/test/process/herd"
)

const (
	herdClients = 60
	herdObject  = 256 * mib
	// herdRate makes the origin take about 4 s for the object.
	herdRate = 64 * mib
)

// lastSent notes when the origin ended its last answer.
type lastSent struct {
	mu sync.Mutex
	at time.Time
}

func (l *lastSent) observe(e faultorigin.Event) {
	if e.Kind == faultorigin.Finished {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.at = time.Now()
	}
}

func (l *lastSent) time() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.at
}

// TestColdHerd: 60 clients at 3 nodes ask for one cold object at once.
func TestColdHerd(t *testing.T) {
	for name, plan := range map[string]func(*herd.Object, int) []storage.Span{
		"whole files":             func(o *herd.Object, _ int) []storage.Span { return o.Whole() },
		"1 MiB in a random order": func(o *herd.Object, i int) []storage.Span { return o.Shuffled(uint64(i)) },
	} {
		t.Run(name, func(t *testing.T) {
			var end lastSent
			b := newBed(t, setting{nodes: 3, rate: herdRate, observe: end.observe})
			o := b.object("/filestreamingservice/files/herd", herdObject)
			results := b.herd(o, herdClients, func(i int) []storage.Span { return plan(o, i) }, nil)
			total := new(herd.Result)
			var late int
			var slowest time.Duration
			for _, r := range results {
				total.Add(r)
				slowest = max(slowest, r.First.Sub(r.Begun))
				if !r.First.Before(end.time()) {
					late++
				}
			}
			b.clean(total)
			b.once(o)
			if total.Bytes != herdClients*o.Size {
				t.Errorf("%d bytes arrived, not %d", total.Bytes, herdClients*o.Size)
			}
			if late > 0 {
				t.Errorf("%d clients had their first byte only after the origin had sent its last", late)
			}
			t.Logf("%d clients, %d requests, %v; slowest first byte %v, origin sent for %v; answers %v",
				herdClients, total.Requests, total.End.Sub(total.Begun).Round(time.Millisecond),
				slowest.Round(time.Millisecond), end.time().Sub(total.Begun).Round(time.Millisecond), total.Sources)
		})
	}
}

// TestWarmHerd: what the cluster holds, any node gives without the origin.
func TestWarmHerd(t *testing.T) {
	b := newBed(t, setting{nodes: 3})
	o := b.object("/filestreamingservice/files/warm", 64*mib)
	b.read(o, 0, o.Whole())
	b.once(o)
	total := new(herd.Result)
	for _, r := range b.herd(o, 12, func(i int) []storage.Span { return o.Shuffled(uint64(i)) }, nil) {
		total.Add(r)
	}
	b.clean(total)
	b.once(o)
	t.Logf("answers %v", total.Sources)
}
