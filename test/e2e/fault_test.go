package e2e_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/faultorigin"
	"github.com/mccd/mccd/test/process"
	"github.com/mccd/mccd/test/process/herd"
	"github.com/mccd/mccd/test/process/presence"
)

const (
	// pace is one client's speed; 60 of them fetch the object in about 20 s.
	pace = 12 * mib
	// pacedRate is the origin's: less, so that the clients follow its fills all
	// the time and requests are open at it whenever a fault strikes.
	pacedRate = 10 * mib
	// victim is the node that is killed or paused.
	victim = 1
	// maxGap is what a fault may add to the largest gap in a client's bytes.
	// A machine that lets nodes stand still adds to that (watch).
	maxGap = time.Second
)

// moment is the state of cluster and origin when a fault struck.
type moment struct {
	at time.Time
	// alone is what only the victim held, in bytes.
	alone int64
	// flights were open then: requests whose bytes the origin had not all sent,
	// or no drive held yet; asked is what those had asked for.
	flights int
	asked   int64
	// sent is what the origin had sent, and more than once.
	sent, twice int64
}

// paced is one run of paced clients.
type paced struct {
	*moment
	total  *herd.Result // of all clients
	gap    time.Duration
	origin *faultorigin.Ledger
	object *herd.Object
	watch  watch
}

// extra returns how many bytes the origin sent again after the moment.
func (p *paced) extra() int64 {
	return p.origin.Bytes(p.object.Path) - p.origin.Union(p.object.Path) - p.twice
}

// TestFaultUnderPacedClients kills a node, and in another run hangs one, while
// 60 paced clients read; a run without a fault is the measure of their gaps.
func TestFaultUnderPacedClients(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes; not with -short")
	}
	var calm *paced
	t.Run("no fault", func(t *testing.T) {
		calm = runPaced(t, patience, false, nil)
	})
	if calm == nil || t.Failed() {
		t.Fatal("the run without a fault is the measure of the others")
	}
	t.Run("SIGKILL", func(t *testing.T) {
		p := runPaced(t, patience, true, func(b *bed) *moment {
			return b.strike(func(n *process.Node) error { return n.Kill() })
		})
		bound := p.alone + int64(p.flights)*mib
		t.Logf("SIGKILL: extra origin bytes %d; the killed node alone held %d, %d flights open: bound %d", p.extra(), p.alone, p.flights, bound)
		if p.extra() > bound {
			t.Errorf("extra origin bytes %d > %d", p.extra(), bound)
		}
		compareGaps(t, p, calm)
	})
	t.Run("SIGSTOP", func(t *testing.T) {
		p := runPaced(t, impatience, false, func(b *bed) *moment {
			return b.strike(func(n *process.Node) error { return n.Pause() })
		})
		// A live node that stands still too is passed over like the paused one.
		bound := p.asked + int64(p.watch.late())*max(p.asked, storage.ChunkSize)
		t.Logf("SIGSTOP: extra origin bytes %d; %d flights open, for %d bytes; the paused node alone held %d; the others stood still %d times", p.extra(), p.flights, p.asked, p.alone, p.watch.late())
		if p.extra() > bound {
			t.Errorf("extra origin bytes %d: more than one duplicate of the flights in progress", p.extra())
		}
		compareGaps(t, p, calm)
	})
}

func compareGaps(t *testing.T, p, calm *paced) {
	t.Helper()
	more := p.gap - calm.gap
	t.Logf("largest gap %v, without the fault %v: difference %v; live nodes stood still for up to %v", p.gap.Round(time.Millisecond), calm.gap.Round(time.Millisecond), more.Round(time.Millisecond), p.watch.longest().Round(time.Millisecond))
	if more >= maxGap+p.watch.longest() {
		t.Errorf("the fault added %v to the largest gap", more)
	}
}

// runPaced lets 60 paced clients read a cold object and strikes, if fault is
// given, when the origin has sent 2/5 of it. With ahead, the victim was asked
// for pieces of the rest before, so that it alone holds some.
func runPaced(t *testing.T, silence string, ahead bool, fault func(*bed) *moment) *paced {
	b := newBed(t, setting{nodes: 3, rate: pacedRate, silence: silence})
	o := b.object("/filestreamingservice/files/paced", herdObject)
	if ahead {
		var some []storage.Span
		for i, piece := range o.Pieces() {
			if piece.Off > o.Size*3/5 && i%3 == 0 {
				some = append(some, piece)
			}
		}
		b.read(o, victim, some)
	}
	p := &paced{moment: new(moment), total: new(herd.Result), origin: b.origin.Ledger(), object: o}
	var excused []string
	struck := make(chan struct{})
	go func() {
		defer close(struck)
		if fault == nil {
			return
		}
		if err := p.origin.WaitBytes(b.ctx, o.Path, o.Size*2/5); err != nil {
			b.Errorf("wait for two fifths: %v", err)
			return
		}
		p.moment = fault(b)
	}()
	if fault != nil {
		excused = append(excused, b.Nodes[victim].Addr)
	}
	var live []*process.Node
	for i, n := range b.Nodes {
		if i != victim {
			live = append(live, n)
		}
	}
	watched := p.watch.begin(b, live)
	results := b.herdUntil(o, struck, func(c *herd.Client) { c.Rate = pace })
	watched()
	for i, r := range results {
		p.total.Add(r)
		if i%len(b.Nodes) != victim {
			p.gap = max(p.gap, r.Gap)
		}
	}
	b.clean(p.total, excused...)
	if p.extra() > p.alone+int64(p.flights)*mib {
		b.Logf("struck %v after the first request", p.at.Sub(p.origin.Requests(o.Path)[0].Began).Round(time.Millisecond))
		b.explain(p.origin.Requests(o.Path))
	}
	if fault == nil {
		b.once(o)
	}
	return p
}

// herdUntil runs the herd. Clients of a paused node hang with it, so it goes
// on when the others are done.
func (b *bed) herdUntil(o *herd.Object, struck <-chan struct{}, change func(*herd.Client)) []*herd.Result {
	type done struct {
		i int
		r *herd.Result
	}
	ends := make(chan done)
	for i := range herdClients {
		c := &herd.Client{Nodes: b.addrsFrom(i % len(b.Nodes))}
		change(c)
		go func() { ends <- done{i, c.Read(b.ctx, o, o.Whole(), 1)} }()
	}
	results := make([]*herd.Result, herdClients)
	others := 0
	for range herdClients {
		end := <-ends
		results[end.i] = end.r
		if end.i%len(b.Nodes) != victim {
			others++
		}
		if others == herdClients-herdClients/len(b.Nodes) {
			others = -herdClients
			<-struck
			if n := b.Nodes[victim]; n.Running() {
				_ = n.Resume() // without effect on one that runs
			}
		}
	}
	return results
}

// strike does fault to the victim while the other nodes are held, reads all
// drives and lets the others go on after some milliseconds: so the figures are
// those of the moment.
func (b *bed) strike(fault func(*process.Node) error) *moment {
	m := &moment{at: time.Now()}
	before := b.origin.Ledger().Entries()
	begun := time.Now()
	drives := make([]string, len(b.Nodes))
	for i, n := range b.Nodes {
		drives[i] = n.Drive
		if i == victim {
			continue
		}
		if err := n.Pause(); err != nil {
			b.Errorf("hold %s: %v", n.Name, err)
		}
	}
	if err := fault(b.Nodes[victim]); err != nil {
		b.Errorf("strike: %v", err)
	}
	after := b.origin.Ledger().Entries()
	snapshot, err := presence.Take(drives...)
	for i, n := range b.Nodes {
		if i != victim {
			_ = n.Resume()
		}
	}
	held := time.Since(begun)
	sent, unique := presence.Tally(after)
	m.sent, m.twice = sent, sent-unique
	if err != nil {
		b.Errorf("read the drives: %v", err)
		return m
	}
	sets, err := snapshot.Sets(b.ctx)
	if err != nil {
		b.Errorf("read the drives: %v", err)
		return m
	}
	m.alone = presence.Alone(sets, victim)
	for _, e := range presence.Open(before, after, presence.Unite(sets)) {
		m.flights++
		m.asked += e.Asked.Len()
	}
	var all []string
	for i, set := range sets {
		all = append(all, fmt.Sprintf("%s %d", b.Nodes[i].Name, set.Bytes()))
	}
	b.Logf("struck after %d origin bytes; drives hold %v; nodes held for %v", m.sent, slices.Clip(all), held.Round(time.Millisecond))
	return m
}
