package peer

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"

	peerv1 "github.com/mccd/mccd/proto/mccd/peer/v1"
	"github.com/mccd/mccd/ring"
	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/disk"
	"github.com/mccd/mccd/test/faultorigin"
)

const (
	testCluster  = "0123456789abcdef0123456789abcdef"
	otherCluster = "fedcba9876543210fedcba9876543210"
	testMark     = "00000000000000a1"
	purgedSize   = 300_000
)

// purging gives each node purges of its own, by its number.
type purging [4]atomic.Pointer[storage.Purges]

func (p *purging) tune(n *node, cfg *Config) {
	cfg.Purges = p[n.i].Load
}

// set makes p the purges of nodes.
func (p *purging) set(to *storage.Purges, nodes ...int) {
	for _, i := range nodes {
		p[i].Store(to)
	}
}

func none(cluster string) *storage.Purges { return storage.NewPurges(cluster, 1, 0, 0, nil) }

func markOf(path string) *storage.Purges {
	return storage.NewPurges(testCluster, 1, 5, 0, []storage.PurgeMark{{Index: 5, ID: testMark, Host: testHost, Path: path}})
}

// poison adds an object whose bytes, not its validator, differ from those that
// heal gives it later.
func (c *cluster) poison(path string) { c.offer(path, "poison") }
func (c *cluster) heal(path string)   { c.offer(path, "good") }

func (c *cluster) offer(path, version string) {
	c.origin.Add(faultorigin.Object{Path: path, Size: purgedSize, Version: version, Header: http.Header{
		"Etag": {`"same"`}, "Cache-Control": {"max-age=86400"},
	}})
}

// want fails the test unless each of nodes serves path as version.
func (c *cluster) want(version, path string, nodes ...int) {
	c.t.Helper()
	for _, i := range nodes {
		req := c.request(path, storage.Span{End: purgedSize})
		if n, err := c.nodes[i].read(within(c.t, 30e9), req, version); err != nil || n != purgedSize {
			c.t.Errorf("node %d, %s of %s: %d bytes, %v", i, version, path, n, err)
		}
	}
}

// acknowledge has nodes remove what is purged.
func (c *cluster) acknowledge(index uint64, nodes ...int) {
	c.t.Helper()
	for _, i := range nodes {
		got, err := c.nodes[i].Purged(within(c.t, 30e9))
		if err != nil || got != index {
			c.t.Errorf("node %d acknowledges %d, want %d: %v", i, got, index, err)
		}
	}
}

// keeps reports whether node i has chunks of path of a version with that mark.
func (c *cluster) keeps(i int, path, mark string) bool {
	c.t.Helper()
	return c.keepsOf(i, c.ref(path).ID(), mark)
}

func (c *cluster) keepsOf(i int, id storage.ObjectID, mark string) bool {
	c.t.Helper()
	<-c.nodes[i].store.Indexed()
	for key := range c.nodes[i].store.Keys {
		chunk, err := c.nodes[i].store.Lookup(key)
		if err != nil {
			continue
		}
		same := key.Object == id && chunk.Version().Mark == mark && !chunk.Presence().Empty()
		chunk.Release()
		if same {
			return true
		}
	}
	return false
}

func (n *node) again(tune ...func(n *node, cfg *Config)) {
	n.c.t.Helper()
	n.listen(n.addr)
	n.start(tune...)
}

// An object with the same validator before and after a purge is fetched anew,
// once, and nobody serves the old bytes, before and after they are removed, also
// a node that was down meanwhile.
func TestPurge(t *testing.T) {
	var p purging
	p.set(none(testCluster), 0, 1, 2)
	c := newCluster(t, 3, p.tune)
	path, other := c.path(0, 1), c.path(1)+"x"
	c.poison(path)
	c.poison(other)
	c.want("poison", path, 0, 1, 2)
	c.want("poison", other, 0, 1, 2)
	c.acknowledge(0, 0, 1, 2)
	c.heal(path)
	c.heal(other)
	c.want("poison", path, 0, 1, 2) // or the test would prove nothing
	c.nodes[2].stop()
	c.see(2, ring.Failed)
	p.set(markOf(path), 0, 1)
	c.want("good", path, 1, 0)
	c.acknowledge(5, 0, 1)
	c.acknowledge(5, 0, 1)
	for i := range 2 {
		if c.keeps(i, path, "") || !c.keeps(i, path, testMark) {
			t.Errorf("node %d: old bytes kept %t, new ones %t", i, c.keeps(i, path, ""), c.keeps(i, path, testMark))
		}
		if !c.keeps(i, other, "") {
			t.Errorf("node %d lost what was not purged", i)
		}
	}
	p.set(markOf(path), 2)
	c.nodes[2].again(p.tune)
	c.see(2, ring.Alive)
	if !c.keeps(2, path, "") {
		t.Error("the node that was down does not have the old bytes: nothing is tested")
	}
	c.want("good", path, 2)
	c.acknowledge(5, 2)
	if c.keeps(2, path, "") {
		t.Error("the node that was down keeps the old bytes")
	}
	c.want("good", path, 0, 1, 2)
	c.want("poison", other, 0, 1, 2)
	if n := len(c.origin.Ledger().Requests(path)); n != 2 {
		t.Errorf("%d requests for two states of the object", n)
	}
	// Once all have acknowledged, the mark goes; nothing returns with that.
	p.set(storage.NewPurges(testCluster, 1, 5, 5, nil), 0, 1, 2)
	c.want("good", path, 0, 1, 2)
	c.acknowledge(5, 0, 1, 2)
	c.want("good", path, 0, 1, 2)
	c.want("poison", other, 0, 1, 2)
	if n := len(c.origin.Ledger().Requests(path)) + len(c.origin.Ledger().Requests(other)); n != 3 {
		t.Errorf("%d requests, want 3: the mark's end cost some", n)
	}
}

// A node that returns after the marks have gone cannot know what was purged: it
// serves nothing of what it kept.
func TestReturnAfterMarksWentAway(t *testing.T) {
	for _, judged := range []bool{true, false} {
		var p purging
		p.set(none(testCluster), 0, 1)
		c := newCluster(t, 2, p.tune)
		path := c.path(1)
		c.poison(path)
		c.want("poison", path, 1)
		if judged {
			c.acknowledge(0, 1)
		}
		c.nodes[1].stop()
		c.heal(path)
		p.set(storage.NewPurges(testCluster, 1, 9, 5, nil), 0, 1)
		if !judged { // and it restarts in between, with what it knew
			p.set(none(testCluster), 1)
			c.nodes[1].again(p.tune)
			c.acknowledge(0, 1)
			p.set(storage.NewPurges(testCluster, 1, 9, 5, nil), 1)
		} else {
			c.nodes[1].again(p.tune)
		}
		c.want("good", path, 1, 0)
		c.acknowledge(9, 1)
		c.want("good", path, 1, 0)
	}
}

// Content that a joining node kept bears another cluster's stamp: what is purged
// stays so, the rest is of use, and later purges hit it.
func TestJoinWithKeptContent(t *testing.T) {
	for _, tt := range []struct {
		name    string
		purges  func(path string) *storage.Purges
		want    string // of the path that is purged
		rest    string
		fetched int // requests for the rest
	}{
		{"no purge", func(string) *storage.Purges { return none(testCluster) }, "poison", "poison", 0},
		{"purged", markOf, "good", "poison", 0},
		{"purged, and the mark has gone", func(string) *storage.Purges { return storage.NewPurges(testCluster, 1, 5, 5, nil) }, "good", "good", 1},
	} {
		var alone purging
		// An index beyond the new cluster's must not count there.
		alone.set(storage.NewPurges(otherCluster, 7, 900, 0, nil), 0)
		single := newCluster(t, 1, alone.tune)
		var p purging
		p.set(none(testCluster), 0, 1)
		c := newCluster(t, 2, p.tune)
		path, rest := c.path(1, 0), c.path(1, 0)+"/rest"
		for _, o := range []string{path, rest} {
			single.poison(o)
			single.want("poison", o, 0)
			c.heal(o)
		}
		single.acknowledge(900, 0)
		single.nodes[0].stop()
		c.nodes[1].stop()
		c.see(1, ring.Failed)
		c.nodes[1].dir = single.nodes[0].dir
		p.set(tt.purges(path), 0, 1)
		c.nodes[1].again(p.tune)
		c.see(1, ring.Alive)
		c.want(tt.want, path, 1, 0)
		c.want(tt.rest, rest, 1, 0)
		c.acknowledge(p[1].Load().Stamp().Index, 1, 0)
		c.want(tt.want, path, 1, 0)
		c.want(tt.rest, rest, 1, 0)
		if n := len(c.origin.Ledger().Requests(rest)); n != tt.fetched {
			t.Errorf("%s: %d requests for what was kept, want %d", tt.name, n, tt.fetched)
		}
		if tt.want == "good" && c.keeps(1, path, "") && tt.name == "purged" {
			t.Errorf("%s: the old bytes are kept", tt.name)
		}
		// A later purge hits all.
		later := storage.NewPurges(testCluster, 1, 20, 0, []storage.PurgeMark{{Index: 20, ID: "00000000000000b2", Host: testHost, Path: "/", Prefix: true}})
		for _, o := range []string{path, rest} {
			c.offer(o, "newest")
		}
		p.set(later, 0, 1)
		c.want("newest", path, 0, 1)
		c.want("newest", rest, 1, 0)
		c.acknowledge(20, 0, 1)
		c.want("newest", path, 0, 1)
	}
}

// An answer that the origin was asked for before a purge is dead when it comes.
func TestPurgeDuringFlight(t *testing.T) {
	for owner := range 2 {
		var p purging
		p.set(none(testCluster), 0, 1)
		c := newCluster(t, 2, p.tune)
		path := c.path(owner)
		c.poison(path)
		gate := faultorigin.NewGate()
		c.origin.Script(path, faultorigin.Behaviour{Requests: []int{1}, Gate: gate})
		read := make(chan error, 1)
		ctx := within(t, 60e9)
		go func() {
			_, err := c.nodes[0].read(ctx, c.request(path, storage.Span{End: purgedSize}), "good")
			read <- err
		}()
		if err := c.origin.Ledger().Wait(ctx, path, func(es []faultorigin.Entry) bool { return len(es) == 1 }); err != nil {
			t.Fatal(err)
		}
		p.set(markOf(path), 0, 1)
		acked := make(chan error, 1)
		go func() {
			_, err := c.nodes[owner].Purged(ctx)
			acked <- err
		}()
		c.heal(path)
		select {
		case <-acked:
			t.Error("acknowledged while older bytes may come")
		case err := <-read:
			t.Errorf("read before the origin answered: %v", err)
		default:
		}
		gate.Open()
		if err := <-read; err != nil {
			t.Errorf("owner %d: %v", owner, err)
		}
		if err := <-acked; err != nil {
			t.Error(err)
		}
		c.want("good", path, 0, 1)
		if c.keeps(owner, path, "") {
			t.Error("the older bytes are kept")
		}
	}
}

// A node that has not heard of a purge, and never will, brings nothing back at
// those that have: not as owner, home or holder.
func TestPurgeUnknownToPeer(t *testing.T) {
	for behind := range 3 {
		var p purging
		p.set(none(testCluster), 0, 1, 2)
		c := newCluster(t, 3, p.tune)
		path := c.path(0, 1, 2)
		c.poison(path)
		c.want("poison", path, 0, 1, 2)
		c.heal(path)
		for i := range 3 {
			if i != behind {
				p.set(markOf(path), i)
			}
		}
		for range 2 {
			for i := range 3 {
				if i != behind {
					c.want("good", path, i)
				}
			}
		}
		if behind != 0 {
			// The other way round it gets nothing of what is dead elsewhere.
			ctx := context.Background()
			n := c.nodes[behind]
			held := n.cache.Record(c.ref(path).ID())
			for mode, want := range map[peerv1.FillRequest_Mode]error{
				peerv1.FillRequest_MODE_HELD: disk.ErrNotHeld, peerv1.FillRequest_MODE_PROBE: disk.ErrNotHeld,
				peerv1.FillRequest_MODE_FILL: storage.ErrVersionGone,
			} {
				j := &job{o: held, ref: c.ref(path), rule: c.rule}
				x := &exchange{f: n.Filler, node: n.View().Node(0), req: n.heldRequest(j, 0, storage.Span{End: storage.BlockSize}, mode)}
				if err := x.run(ctx, c.ref(path), 0); !errors.Is(err, want) || x.stored != 0 || x.presence != nil {
					t.Errorf("%s of what is purged: %v, %v; want %v", mode, x.presence, err, want)
				}
			}
		}
		p.set(markOf(path), behind)
		c.want("good", path, behind)
	}
}

// A response that has begun ends with the bytes of its version that are there,
// or without the rest: what the origin sends after a purge is not joined to it.
func TestPurgeWhileReading(t *testing.T) {
	var p purging
	p.set(none(testCluster), 0, 1)
	c := newCluster(t, 2, p.tune)
	path := c.pathOf(0, 1)
	const size = 2 * storage.ChunkSize
	add := func(version string) {
		c.origin.Add(faultorigin.Object{Path: path, Size: size, Version: version, Header: http.Header{
			"Etag": {`"same"`}, "Cache-Control": {"max-age=86400"},
		}})
	}
	add("poison")
	ctx := within(t, 60e9)
	for node := range 2 {
		p.set(none(testCluster), 0, 1)
		req := c.request(path, piece(0))
		content, err := c.nodes[node].Open(ctx, req)
		if err != nil {
			t.Fatal(err)
		}
		first, rest := storage.Span{End: storage.BlockSize}, storage.Span{Off: size - storage.PieceSize, End: size}
		if _, err := c.nodes[node].readFrom(ctx, content, first, "poison"); err != nil {
			t.Fatal(err)
		}
		add("good")
		p.set(markOf(path), 0, 1)
		if n, err := c.nodes[node].readFrom(ctx, content, first, "poison"); err != nil || n != first.Len() {
			t.Errorf("node %d: what is there: %d bytes, %v", node, n, err)
		}
		if n, err := c.nodes[node].readFrom(ctx, content, rest, "poison"); !errors.Is(err, storage.ErrVersionGone) || n != 0 {
			t.Errorf("node %d: what is not there: %d bytes, %v", node, n, err)
		}
		content.Close()
		for i := range 2 {
			if _, err := c.nodes[i].read(ctx, c.request(path, storage.Span{End: size}), "good"); err != nil {
				t.Errorf("node %d: %v", i, err)
			}
		}
		c.acknowledge(5, 0, 1)
		path = c.pathOf(1, 0)
		add("poison")
	}
}

// A download that began with the version before the present one is not resumed
// with bytes that were purged.
func TestPurgeOfVersionBefore(t *testing.T) {
	var p purging
	p.set(none(testCluster), 0)
	c := newCluster(t, 1, p.tune)
	path := c.path(0)
	ctx := within(t, 60e9)
	for i, size := range []int64{purgedSize, purgedSize + 1} {
		c.origin.Add(faultorigin.Object{Path: path, Size: size, Version: string(rune('1' + i))})
		req := c.request(path, storage.Span{End: size})
		req.Rule = &storage.Rule{}
		*req.Rule = *c.rule
		req.Rule.AlwaysRevalidate = []string{"*"}
		if _, err := c.nodes[0].read(ctx, req, string(rune('1'+i))); err != nil {
			t.Fatal(err)
		}
	}
	resume := c.request(path, storage.Span{Off: storage.BlockSize, End: purgedSize})
	resume.Total = purgedSize
	if _, err := c.nodes[0].read(ctx, resume, "1"); err != nil {
		t.Fatalf("a resume before the purge: %v", err)
	}
	p.set(markOf(path), 0)
	for range 2 {
		if _, err := c.nodes[0].read(ctx, resume, "1"); !errors.Is(err, storage.ErrVersionGone) {
			t.Errorf("a resume after the purge: %v", err)
		}
		c.acknowledge(5, 0)
	}
	if c.keeps(0, path, "") {
		t.Error("versions from before the purge are kept")
	}
}

// After a recovery the stamps of the generation before count on: nothing is
// fetched again that was not purged.
func TestPurgeAfterRecovery(t *testing.T) {
	var p purging
	p.set(storage.NewPurges(testCluster, 1, 9, 7, nil), 0)
	c := newCluster(t, 1, p.tune)
	path := c.path(0)
	c.poison(path)
	c.want("poison", path, 0)
	c.acknowledge(9, 0)
	c.heal(path)
	p.set(storage.NewPurges(testCluster, 2, 9, 7, nil), 0)
	c.nodes[0].stop()
	c.nodes[0].again(p.tune)
	c.want("poison", path, 0)
	const later = 1<<40 | 3 // beyond all of the first generation
	p.set(storage.NewPurges(testCluster, 2, later, 7, []storage.PurgeMark{{Index: later, ID: testMark, Path: path}}), 0)
	c.want("good", path, 0)
	c.acknowledge(later, 0)
	if c.keeps(0, path, "") {
		t.Error("the old bytes are kept")
	}
}
