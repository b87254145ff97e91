package peer

import (
	"math"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mccd/mccd/ring"
	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/faultorigin"
)

var all = storage.Span{End: math.MaxInt64}

// explained is what one chunk is expected to be told of.
type explained struct {
	acting string
	steps  string // "kind by from bytes", joined by ", "
}

func (c *cluster) explain(i int, path string, want storage.Span) *Explanation {
	c.t.Helper()
	before, keys := len(c.origin.Ledger().Requests(path)), c.held()
	e := c.nodes[i].Explain(within(c.t, 30*time.Second), c.ref(path), c.rule, want)
	if after := len(c.origin.Ledger().Requests(path)); after != before || c.held() != keys {
		c.t.Errorf("an explanation sent %d requests, and %d chunks became %d", after-before, keys, c.held())
	}
	return e
}

// held returns how many chunks all nodes hold.
func (c *cluster) held() (n int) {
	for _, node := range c.nodes {
		for range node.store.Keys {
			n++
		}
	}
	return n
}

func (c *cluster) wantExplained(e *Explanation, standing Standing, next string, want ...explained) {
	c.t.Helper()
	if e.Standing != standing || !strings.Contains(strings.Join(e.Next, " "), next) {
		c.t.Errorf("%s, %q; want %s, %q", e.Standing, e.Next, standing, next)
	}
	if len(e.Chunks) != len(want) {
		c.t.Fatalf("%d chunks, want %d", len(e.Chunks), len(want))
	}
	for i, w := range want {
		var steps []string
		for _, s := range e.Chunks[i].Steps {
			steps = append(steps, strings.Join(strings.Fields(string(s.Kind)+" "+s.By+" "+s.From), " "))
		}
		if got := strings.Join(steps, ", "); got != w.steps || e.Chunks[i].Acting != w.acting {
			c.t.Errorf("chunk %d: %s acts, %q; want %s, %q (%+v)", i, e.Chunks[i].Acting, got, w.acting, w.steps, e.Chunks[i])
		}
	}
}

// An explanation through the life of an object: never fetched, fetched by one
// node, in part, purged, its owner killed. It never asks the origin and keeps
// nothing.
func TestExplain(t *testing.T) {
	var p purging
	p.set(none(testCluster), 0, 1, 2)
	c := newCluster(t, 3, p.tune)
	ctx := within(t, 60*time.Second)
	path := c.pathOf(0, 1)
	const size = storage.ChunkSize + storage.PieceSize
	c.origin.Add(faultorigin.Object{Path: path, Size: size, Header: http.Header{"Cache-Control": {"max-age=86400"}}})
	for _, n := range c.nodes {
		eventually(t, "all have told", n.Settled)
	}
	c.wantExplained(c.explain(2, path, all), StandingUnknown, "n0, the object's home too, asks the origin for the first", explained{"n0", "origin n0"})
	c.wantExplained(c.explain(0, path, piece(0)), StandingUnknown, "this node, the object's home too, asks the origin", explained{"n0", "origin n0"})
	if e := c.explain(2, path, all); e.Record != nil || e.From != "" || len(c.nodes[2].cache.Known()) != 0 {
		t.Errorf("a record came with an explanation: %+v", e)
	}

	if _, err := c.nodes[2].read(ctx, c.request(path, piece(0)), "1"); err != nil {
		t.Fatal(err)
	}
	e := c.explain(2, path, all)
	c.wantExplained(e, StandingFresh, "fresh here", explained{"n0", "hit n2 n2, origin n0"}, explained{"n1", "origin n1"})
	if left := e.FreshLeft(time.Now()); left <= 0 || left > 24*time.Hour {
		t.Errorf("fresh for %s", left)
	}
	if why := e.Chunks[0].Steps[1]; why.Why != "n0 acts as owner and no node holds it" || why.Bytes != storage.ChunkSize-storage.PieceSize {
		t.Errorf("%+v", why)
	}
	if h := e.Chunks[0].Holders; len(h) != 2 || h[0].Node != "n0" || h[0].Worth != "owned" || h[0].Bytes != storage.PieceSize ||
		h[1].Node != "n2" || h[1].Worth != "borrowed" || !h[1].Known {
		t.Errorf("holders %+v", h)
	}
	if order := e.Chunks[0].Order; len(order) != 3 || order[0] != (Candidate{Node: "n0"}) {
		t.Errorf("order %+v", order)
	}

	if _, err := c.nodes[2].read(ctx, c.request(path, storage.Span{End: size}), "1"); err != nil {
		t.Fatal(err)
	}
	c.wantExplained(c.explain(2, path, all), StandingFresh, "", explained{"n0", "hit n2 n2"}, explained{"n1", "hit n2 n2"})
	c.wantExplained(c.explain(0, path, all), StandingFresh, "", explained{"n0", "hit n0 n0"}, explained{"n1", "peer n1 n1"})
	c.wantExplained(c.explain(1, path, storage.Span{Off: -storage.PieceSize, End: math.MaxInt64}), StandingFresh, "", explained{"n1", "hit n1 n1"})
	if e := c.explain(2, path, storage.Span{Off: size, End: size + 1}); len(e.Chunks) != 0 || !e.Span.Empty() {
		t.Errorf("beyond the end: %+v", e)
	}

	c.kill(0)
	c.see(0, ring.Failed)
	e = c.explain(1, path, piece(0))
	if order := e.Chunks[0].Order; order[0] != (Candidate{Node: "n0", Why: "failed"}) {
		t.Errorf("order %+v", order)
	}
	if s := e.Chunks[0].Steps; len(s) != 1 || s[0].Kind != StepPeer || s[0].From != "n2" || e.Chunks[0].Acting == "n0" {
		t.Errorf("with its owner killed: %+v", e.Chunks[0])
	}

	p.set(markOf(path), 0, 1, 2)
	e = c.explain(2, path, piece(0))
	acting := e.Chunks[0].Acting
	c.wantExplained(e, StandingUnknown, "was purged", explained{acting, "origin " + acting})
	if e.Dead == nil || e.Mark == nil || e.Mark.ID != testMark || e.Purges.Index != 5 {
		t.Errorf("purged: %+v", e)
	}
}

// What is not fresh here may be so at the home, and is revalidated otherwise.
func TestExplainStale(t *testing.T) {
	var ahead atomic.Int64
	clock := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	c := newCluster(t, 2, func(_ *node, cfg *Config) { cfg.Now = clock })
	path := c.path(0)
	c.origin.Add(faultorigin.Object{Path: path, Size: 1 << 20, Header: http.Header{"Cache-Control": {"max-age=86400"}}})
	ctx := within(t, 60*time.Second)
	if _, err := c.nodes[0].read(ctx, c.request(path, piece(0)), "1"); err != nil {
		t.Fatal(err)
	}
	e := c.explain(1, path, all)
	c.wantExplained(e, StandingFresh, "fresh at n0", explained{"n0", "peer n0 n0"})
	if e.From != "n0" || len(c.nodes[1].cache.Known()) != 0 {
		t.Errorf("the record is from %q, and is kept", e.From)
	}
	ahead.Store(int64(48 * time.Hour))
	e = c.explain(0, path, all)
	c.wantExplained(e, StandingStale, "it is served as it is", explained{"n0", "hit n0 n0"})
	if e.FreshLeft(clock()) != 0 {
		t.Error("fresh and stale")
	}
	rule := *c.rule
	rule.AlwaysRevalidate = []string{"*"}
	if e := c.nodes[0].Explain(ctx, c.ref(path), &rule, all); e.Standing != StandingAlways {
		t.Errorf("always: %s", e.Standing)
	}
}

// Of a node that does not answer nobody says what it holds; that takes no longer
// than the bound.
func TestExplainWithoutAnswer(t *testing.T) {
	c := newCluster(t, 3)
	path := c.path(0)
	c.origin.Add(faultorigin.Object{Path: path, Size: 1 << 20, Header: http.Header{"Cache-Control": {"max-age=86400"}}})
	ctx := within(t, 60*time.Second)
	if _, err := c.nodes[1].read(ctx, c.request(path, storage.Span{End: 1 << 10}), "1"); err != nil {
		t.Fatal(err)
	}
	o := c.nodes[1].cache.Record(c.ref(path).ID())
	if err := c.nodes[1].store.DropChunk(ctx, o.Key(0), nil); err != nil {
		t.Fatal(err)
	}
	c.kill(0) // and nobody has noticed
	e := c.explain(1, path, all)
	s := e.Chunks[0].Steps
	switch {
	case len(e.Silent) != 1 || e.Silent[0] != "n0":
		t.Errorf("silent %v", e.Silent)
	case len(s) != 1 || e.Chunks[0].Acting == "n0" && (s[0].Kind != StepPeer || !strings.Contains(s[0].Why, "not known")) ||
		e.Chunks[0].Acting != "n0" && !strings.Contains(s[0].Why, "no node that answers"):
		t.Errorf("%+v", e.Chunks[0])
	}
}
