package peer

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/origin"
	"github.com/mccd/mccd/test/faultorigin"
)

// skewed is a cluster whose nodes' clocks are hours apart and move together.
func skewed(t *testing.T, n int) (c *cluster, forward func(time.Duration)) {
	var passed atomic.Int64
	c = newCluster(t, n, func(n *node, cfg *Config) {
		cfg.Now = func() time.Time {
			return time.Now().Add(time.Duration(n.i)*3*time.Hour + time.Duration(passed.Load()))
		}
		cdn, err := origin.New(origin.Config{Now: cfg.Now})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cdn.Close() })
		cfg.Origin = cdn
	})
	return c, func(d time.Duration) { passed.Add(int64(d)) }
}

// When an object's freshness ends, it does so at all nodes, whatever their
// clocks say; the origin is asked once for the whole cluster, by a condition,
// and the answer gives all records their new freshness.
func TestOneRevalidationForTheCluster(t *testing.T) {
	c, forward := skewed(t, 4)
	path := c.pathOf(0, 1, 2)
	const size = 3 * storage.ChunkSize
	header := http.Header{"Date": nil, "Cache-Control": {"max-age=600"}}
	c.origin.Add(faultorigin.Object{Path: path, Size: size, Header: header})
	ctx := within(t, 60*time.Second)
	read := func() {
		t.Helper()
		err := herd(32, func(i int) error {
			span := piece(int64(i/4%3) * storage.ChunkSize / storage.PieceSize) // of all chunks, so all owners ask
			_, err := c.nodes[i%4].read(ctx, c.request(path, span), "1")
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	read()
	forward(300 * time.Second)
	c.origin.Ledger().Reset()
	for i := range 4 { // one after the other: what one was told the next is told less of
		if _, err := c.nodes[i].read(ctx, c.request(path, piece(0)), "1"); err != nil {
			t.Error(err)
		}
	}
	if n := len(c.origin.Ledger().Requests(path)); n != 0 {
		t.Errorf("%d requests while it is fresh", n)
	}
	for round := range 3 {
		forward(700 * time.Second)
		c.origin.Ledger().Reset()
		read()
		read() // all have the renewed record
		if es := c.origin.Ledger().Requests(path); len(es) != 1 || es[0].Status != http.StatusNotModified {
			t.Errorf("round %d: %d requests, the first %+v", round, len(es), es[:min(1, len(es))])
		}
	}
}

// A 304 that says nothing of freshness leaves what the stored fields say; one
// that says more renews the record.
func TestNotModifiedUpdatesTheRecord(t *testing.T) {
	c, forward := skewed(t, 2)
	path := c.path(0)
	c.origin.Add(faultorigin.Object{
		Path: path, Size: 1000, LastModified: time.Now().Add(-100 * time.Hour),
		Header: http.Header{"Date": nil, "X-Kept": {"a"}, "X-Changed": {"a"}},
	})
	ctx := within(t, 30*time.Second)
	req := c.request(path, storage.Span{End: 1000})
	read := func() *storage.Object {
		t.Helper()
		for i := range 2 {
			if _, err := c.nodes[i].read(ctx, req, "1"); err != nil {
				t.Fatal(err)
			}
		}
		return c.nodes[1].cache.Record(req.Ref.ID())
	}
	if o := read(); o.FreshFor < 9*time.Hour { // a tenth of the age
		t.Fatalf("fresh for %s", o.FreshFor)
	}
	c.origin.Script(path, faultorigin.Behaviour{Header: http.Header{"X-Changed": {"b"}, "X-Kept": nil}})
	for range 2 {
		forward(24 * time.Hour)
		c.origin.Ledger().Reset()
		o := read()
		if o.FreshFor < 9*time.Hour || o.Header.Get("X-Kept") != "a" || o.Header.Get("X-Changed") != "b" {
			t.Errorf("fresh for %s, %v", o.FreshFor, o.Header)
		}
		if n := len(c.origin.Ledger().Requests(path)); n != 1 {
			t.Errorf("%d requests", n)
		}
	}
}

// Mirrors of one content are one object: each of their nodes' clients gets what
// another mirror has brought, although the mirrors make ETags of their own.
func TestMirrorsAreOneObject(t *testing.T) {
	c := newCluster(t, 3, func(n *node, cfg *Config) {
		n.c.rule.KeyHost = "all.example.com"
		cfg.Catalogue = mirrored{n.c.rule}
	})
	const size = 3*storage.ChunkSize + 5
	path := "/mirrored.bin"
	c.origin.Add(faultorigin.Object{Path: path, Size: size, Header: http.Header{"Cache-Control": {"max-age=600"}}})
	var odd []int
	for n := range 200 { // every other answer is another mirror's
		odd = append(odd, 2*n+1)
	}
	c.origin.Script(path, faultorigin.Behaviour{Requests: odd, Header: http.Header{"Etag": {`"of another mirror"`}}})
	ctx := within(t, 60*time.Second)
	err := herd(12, func(i int) error {
		req := storage.Request{
			Ref:  storage.Ref{Scheme: "http", Host: []string{"a.example.com", "b.example.com"}[i%2], Path: path, KeyHost: c.rule.KeyHost},
			Rule: c.rule, First: storage.Span{End: size},
		}
		_, err := c.nodes[i%3].read(ctx, req, "1")
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if l := c.origin.Ledger(); l.Bytes(path) != size || l.MaxTimes(path) != 1 {
		t.Errorf("the origin sent %d bytes of %d", l.Bytes(path), size)
	}
}

// mirrored serves two mirrors by one rule.
type mirrored struct{ rule *storage.Rule }

func (m mirrored) Lookup(host string) (*storage.Rule, bool) {
	return m.rule, host == "a.example.com" || host == "b.example.com"
}
