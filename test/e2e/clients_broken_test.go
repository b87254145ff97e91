package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/mccd/mccd/test/clients/agent"
	"github.com/mccd/mccd/test/clients/breaker"
	"github.com/mccd/mccd/test/clients/lite"
	"github.com/mccd/mccd/test/clients/windows"
	"github.com/mccd/mccd/test/faultorigin"
)

// trialsAtOnce is how many rules are broken at the same time, for different
// clients.
const trialsAtOnce = 4

// trial is what clients do through proxies that break one rule.
type trial struct {
	*crowd
	rule  breaker.Rule
	name  *agent.Name
	times agent.Times
	tag   string

	mu      sync.Mutex // guards what follows
	reports []*agent.Report
	now     map[string]int64 // the present length, by path, of what has changed
}

// TestBrokenRules: the checks of TestClients find every rule of docs/clients.md
// that is broken on purpose between clients and nodes, and nothing where none is.
func TestBrokenRules(t *testing.T) {
	c := newCrowd(t, faultorigin.Weather{})
	warm := c.add(faultorigin.Object{Path: "/filestreamingservice/files/warm", Size: 3*mib/2 + 77}, cdn)
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "rule broken\tsection\tfaults found\tfirst of them")
	rules := append([]breaker.Rule{breaker.Honest()}, breaker.Rules()...)
	found := make([][]string, len(rules))
	places := make(chan struct{}, trialsAtOnce)
	var all sync.WaitGroup
	for i, rule := range rules {
		tr := &trial{crowd: c, rule: rule, tag: fmt.Sprint(i), times: agent.Contract(), now: map[string]int64{}}
		tr.times.Step = 5 * time.Millisecond
		if rule.Stalls {
			tr.times.Pace.For = 2 * time.Second // nobody is to wait for 20 s here
		}
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			found[i] = tr.run(warm)
		})
	}
	all.Wait()
	for i, rule := range rules {
		faults, first := found[i], "-"
		if len(faults) > 0 {
			first = faults[0]
		}
		fmt.Fprintf(table, "%s\t%s\t%d\t%.110s\n", rule.Name, rule.Section, len(faults), first)
		switch {
		case i == 0:
			for _, f := range faults {
				t.Errorf("nothing is broken, but: %s", f)
			}
		case len(faults) == 0:
			t.Errorf("nobody noticed: %s", rule.Name)
		}
	}
	_ = table.Flush()
	t.Logf("\n%s", &text)
}

// run has clients of both kinds download through the rule's proxies and returns
// what was not as it should be.
func (tr *trial) run(warm *agent.Object) (faults []string) {
	tr.Helper()
	origin := breaker.Origin{Addr: tr.cdn.Addr(), Size: tr.size, Changed: tr.changed, Stall: 2 * tr.times.Pace.For}
	tr.name = agent.NewName("cache.test", 0)
	for _, n := range tr.Nodes {
		p, err := breaker.New(tr.rule, n.Addr, origin)
		if err != nil {
			return []string{err.Error()}
		}
		defer p.Close()
		tr.name.Add(p.Addr())
	}
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() { tr.lite(lite.Job{Object: warm, Pauses: []int64{100_000, 700_000, 1_200_000}}) })
		all.Go(func() { tr.windows(warm) })
	}
	for i := range 2 {
		all.Go(func() { tr.lite(tr.changing(fmt.Sprintf("/changing/%s/%d", tr.tag, i), false, i > 0)) })
		all.Go(func() { tr.lite(tr.changing(fmt.Sprintf("/shrinking/%s/%d", tr.tag, i), true, i > 0)) })
	}
	gone := tr.add(faultorigin.Object{Path: hardPath + tr.tag, Size: 1000}, closedHost)
	all.Go(func() { tr.lite(lite.Job{Object: gone}) })
	all.Go(func() { tr.windows(gone) })
	all.Wait()
	for _, r := range tr.reports {
		faults = append(faults, r.Faults(func(r *agent.Report, _ agent.FallBack) bool {
			return strings.HasPrefix(r.Object.Path, hardPath)
		})...)
	}
	return faults
}

func (tr *trial) done(r *agent.Report) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.reports = append(tr.reports, r)
}

// Each client is a machine of its own.
func (tr *trial) lite(job lite.Job) {
	c := &lite.Client{Name: tr.name, CDN: tr.cdn.Addr(), Bans: agent.NewBans(nil), Times: tr.times}
	tr.done(c.Download(tr.ctx, job))
}

func (tr *trial) windows(o *agent.Object) {
	c := &windows.Client{Names: []*agent.Name{tr.name}, CDN: tr.cdn.Addr(), Bans: agent.NewBans(nil), Times: tr.times}
	tr.done(c.Download(tr.ctx, o))
}

// changing is a download of an object that the cluster holds and that changes at
// its origin, in content and perhaps in length, while the client pauses. With
// asked, the node asks at every request whether the object is still the same.
func (tr *trial) changing(path string, shrinks, asked bool) lite.Job {
	o := faultorigin.Object{Path: path, Size: 2*mib + rand.Int64N(mib)}
	if asked {
		o.Header = http.Header{"Cache-Control": {"max-age=0"}}
	}
	next := o
	next.Version = "2"
	var object *agent.Object
	if shrinks {
		next.Size /= 2
		object = tr.add(o, cdn)
	} else {
		object = tr.add(o, cdn, "2")
	}
	direct := agent.NewName("cache.test", 0)
	for _, n := range tr.Nodes {
		direct.Add(n.Addr)
	}
	times := tr.times
	times.Pace = agent.Contract().Pace // nothing stalls here
	first := (&lite.Client{Name: direct, CDN: tr.cdn.Addr(), Bans: agent.NewBans(nil), Times: times}).Download(tr.ctx, lite.Job{Object: object})
	if faults := first.Faults(nil); len(faults) > 0 {
		tr.Errorf("before anything changed: %v", faults)
	}
	return lite.Job{Object: object, Pauses: []int64{o.Size * 3 / 4}, Paused: func(int) {
		tr.origin.Add(next)
		tr.cdn.Add(next)
		tr.mu.Lock()
		defer tr.mu.Unlock()
		tr.now[path] = next.Size
	}}
}

// size returns the present length of what has changed, 0 of anything else.
func (tr *trial) size(path string) int64 {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.now[path]
}

func (tr *trial) changed(path string) bool { return tr.size(path) > 0 }
