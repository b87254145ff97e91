package peer

import (
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	peerv1 "github.com/mccd/mccd/proto/mccd/peer/v1"
	"github.com/mccd/mccd/ring"
	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/disk"
	"github.com/mccd/mccd/storage/origin"
	"github.com/mccd/mccd/test/faultorigin"
)

// Ways on which what was purged could come back, one test each. In each the
// origin's validator is the same before and after, so that nothing but the purge
// tells the bytes apart.

// A node that leaves hands over nothing that was purged: neither before it has
// heard of the purge, nor before it has removed what the purge killed.
func TestPurgeThenHandOver(t *testing.T) {
	for name, knows := range map[string]bool{"the leaver has not heard of it": false, "the leaver has not removed it": true} {
		t.Run(name, func(t *testing.T) {
			var p purging
			p.set(none(testCluster), 0, 1)
			c := newCluster(t, 2, p.tune)
			path := c.path(0)
			c.poison(path)
			c.want("poison", path, 0)
			c.heal(path)
			p.set(markOf(path), 1)
			if knows {
				p.set(markOf(path), 0)
			}
			c.acknowledge(5, 1)
			c.see(0, ring.Draining)
			ctx := within(t, 60*time.Second)
			if !knows {
				o := c.nodes[0].cache.Record(c.ref(path).ID())
				chunk, err := c.nodes[0].offerToProto(o.Key(0))
				if err != nil {
					t.Fatal(err)
				}
				for what, offered := range map[string]*peerv1.Offered{"chunk": chunk, "record": c.nodes[0].offerRecord(o.ID)} {
					if err := c.nodes[1].takeOffered(ctx, "n0", offered); !errors.Is(err, errPurged) {
						t.Errorf("the heir takes a %s: %v", what, err)
					}
				}
				p.set(markOf(path), 0)
			}
			if err := c.nodes[0].HandOver(ctx, nil); err != nil {
				t.Fatal(err)
			}
			if c.keeps(1, path, "") {
				t.Error("the heir has the old bytes")
			}
			if o := c.nodes[1].cache.Record(c.ref(path).ID()); o != nil {
				t.Errorf("the heir has a record: %+v", o)
			}
			c.want("good", path, 1)
		})
	}
}

// A home that has forgotten all and asks what others hold is told of a record and
// a chunk from before the purge, and goes by neither.
func TestPurgeThenInventory(t *testing.T) {
	var p purging
	p.set(none(testCluster), 0, 1)
	c := newCluster(t, 2, p.tune)
	path := c.path(0)
	c.poison(path)
	c.want("poison", path, 0, 1)
	c.heal(path)
	c.nodes[0].stop()
	c.see(0, ring.Failed)
	p.set(markOf(path), 0)
	c.nodes[0].dir = t.TempDir()
	c.nodes[0].again(p.tune)
	c.see(0, ring.Alive)
	id := c.ref(path).ID()
	eventually(t, "the home was told of what the other holds", func() bool {
		known, _ := c.nodes[0].book.FindRecord(id, 0)
		return len(known) == 1
	})
	c.want("good", path, 0)
	p.set(markOf(path), 1)
	c.want("good", path, 1)
	c.acknowledge(5, 0, 1)
	if c.keeps(0, path, "") || c.keeps(1, path, "") {
		t.Error("old bytes are kept")
	}
}

// What is kept in memory, since no drive takes it, is purged like the rest.
func TestPurgeOfWhatIsInMemory(t *testing.T) {
	var p purging
	p.set(none(testCluster), 0)
	c := newCluster(t, 1, p.tune, func(n *node, cfg *Config) {
		full, err := disk.New(disk.Config{Drives: []disk.Drive{{Path: t.TempDir(), Size: 4 << 30}}, MinFree: 1 << 60})
		if err != nil {
			t.Fatal(err)
		}
		before := n.store
		t.Cleanup(func() { _ = before.Close() })
		n.store, cfg.Store, cfg.Records = full, full, full
	})
	path := c.path(0)
	c.poison(path)
	c.want("poison", path, 0)
	if s := c.nodes[0].store.Stats(); s.MemBytes == 0 {
		t.Fatalf("nothing is in memory: %+v", s)
	}
	c.heal(path)
	p.set(markOf(path), 0)
	c.want("good", path, 0)
	c.acknowledge(5, 0)
	c.want("good", path, 0)
	if c.keeps(0, path, "") {
		t.Error("the old bytes are kept in memory")
	}
}

// What was purged is not served because the origin cannot be asked, be it that the
// purge comes while the origin is being asked whether it is still current.
func TestPurgeThenOriginAway(t *testing.T) {
	for name, while := range map[string]bool{"purged before": false, "purged while the origin is asked": true} {
		t.Run(name, func(t *testing.T) {
			var p purging
			p.set(none(testCluster), 0)
			var ahead atomic.Int64
			clock := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
			c := newCluster(t, 1, p.tune, func(_ *node, cfg *Config) {
				cfg.Now = clock
				cdn, err := origin.New(origin.Config{Now: clock})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = cdn.Close() })
				cfg.Origin = cdn
			})
			path := c.path(0)
			c.poison(path)
			c.want("poison", path, 0)
			ahead.Store(int64(48 * time.Hour))
			gate := faultorigin.NewGate()
			c.origin.Script(path, faultorigin.Behaviour{Drop: true, Gate: gate})
			ctx := within(t, 60*time.Second)
			if !while {
				gate.Open()
				c.want("poison", path, 0) // stale, or the test would prove nothing
				p.set(markOf(path), 0)
			}
			read := make(chan error, 1)
			go func() {
				_, err := c.nodes[0].read(ctx, c.request(path, storage.Span{End: purgedSize}), "poison")
				read <- err
			}()
			if while {
				if err := c.origin.Ledger().Wait(ctx, path, func(es []faultorigin.Entry) bool { return len(es) >= 2 }); err != nil {
					t.Fatal(err)
				}
				p.set(markOf(path), 0)
				gate.Open()
			}
			if err := <-read; !errors.Is(err, storage.ErrUpstream) {
				t.Errorf("read with the origin away: %v", err)
			}
		})
	}
}

// byHost implements Catalogue.
type byHost map[string]*storage.Rule

func (c byHost) Lookup(host string) (*storage.Rule, bool) {
	r, ok := c[host]
	return r, ok
}

// A purge reaches what a rule keys otherwise: mirrors under one host, both
// schemes, every query, and all hosts of a product; and nothing else.
func TestPurgeByRules(t *testing.T) {
	const mirror, other = "mirror.example.com", "other.example.com"
	scope := func(m storage.PurgeMark) *storage.Purges {
		m.Index, m.ID = 5, testMark
		return storage.NewPurges(testCluster, 1, 5, 0, []storage.PurgeMark{m})
	}
	for _, tt := range []struct {
		name  string
		amend func(r *storage.Rule)
		query string
		mark  storage.PurgeMark
		spare string // a host of which nothing is purged
	}{
		{"a URL", func(*storage.Rule) {}, "sig=1", storage.PurgeMark{Host: testHost, Path: "/x"}, other},
		{"another mirror", func(r *storage.Rule) { r.KeyHost = "content" }, "", storage.PurgeMark{Host: mirror, Path: "/x"}, other},
		{"the mirrors' key", func(r *storage.Rule) { r.KeyHost = "content" }, "", storage.PurgeMark{Host: "content", Path: "/x"}, other},
		{"one scheme of two", func(r *storage.Rule) { r.JoinSchemes = true }, "", storage.PurgeMark{Host: testHost, Path: "/x"}, other},
		{"every query", func(r *storage.Rule) { r.QueryInKey = true }, "a=1", storage.PurgeMark{Host: testHost, Path: "/x"}, other},
		{"a host", func(r *storage.Rule) { r.QueryInKey = true }, "a=1", storage.PurgeMark{Host: testHost, Path: "/", Prefix: true}, other},
		{"a product", func(r *storage.Rule) { r.Product = "Games" }, "", storage.PurgeMark{Product: "Games", Path: "/", Prefix: true}, other},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var p purging
			p.set(none(testCluster), 0, 1)
			var c *cluster
			rules := byHost{}
			c = newCluster(t, 2, p.tune, func(_ *node, cfg *Config) { cfg.Catalogue = rules })
			rule, rest := *c.rule, *c.rule
			tt.amend(&rule)
			rest.Product = "Films"
			rules[testHost], rules[mirror], rules[other] = &rule, &rule, &rest
			ref := func(host string) storage.Ref {
				r := rules[host]
				return storage.Ref{
					Scheme: "http", Host: host, Path: "/x", Query: tt.query, KeyHost: r.KeyHost, QueryInKey: r.QueryInKey, JoinSchemes: r.JoinSchemes,
				}
			}
			read := func(i int, host, version string) {
				t.Helper()
				req := storage.Request{Rule: rules[host], First: storage.Span{End: purgedSize}, Ref: ref(host)}
				if _, err := c.nodes[i].read(within(t, 30*time.Second), req, version); err != nil {
					t.Errorf("node %d, %s: %v", i, host, err)
				}
			}
			c.origin.Add(faultorigin.Object{Path: "/x", Size: purgedSize, Version: "poison", Header: http.Header{"Etag": {`"same"`}, "Cache-Control": {"max-age=86400"}}})
			for i := range 2 {
				read(i, testHost, "poison")
				read(i, tt.spare, "poison")
			}
			c.heal("/x")
			p.set(scope(tt.mark), 0, 1)
			for range 2 {
				for i := range 2 {
					read(i, testHost, "good")
					read(i, tt.spare, "poison")
				}
				c.acknowledge(5, 0, 1)
			}
			for i := range 2 {
				if c.keepsOf(i, ref(testHost).ID(), "") {
					t.Errorf("node %d keeps the old bytes", i)
				}
				if !c.keepsOf(i, ref(tt.spare).ID(), "") {
					t.Errorf("node %d lost what was not purged", i)
				}
			}
		})
	}
}
