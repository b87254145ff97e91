package peer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"testing"
	"time"

	peerv1 "github.com/mccd/mccd/proto/mccd/peer/v1"
	"github.com/mccd/mccd/ring"
	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/faultorigin"
)

func TestChoose(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	of := func(tag string, ago time.Duration) resumable {
		c := resumable{o: &storage.Object{Version: storage.Version{Kind: storage.ValidatorETag, ETag: tag, Size: 5}}}
		if ago > 0 {
			c.until = now.Add(-ago)
		}
		return c
	}
	current, lately, long, longer := of("c", 0), of("l", time.Minute), of("o", time.Hour), of("p", 2*time.Hour)
	had := func(all ...resumable) (out []hadVersion) {
		for _, c := range all {
			out = append(out, hadVersion{c.o.Version.ID(), now})
		}
		return out
	}
	for _, tt := range []struct {
		name string
		all  []resumable
		had  []hadVersion
		want string
	}{
		{"no version has that length", nil, nil, ""},
		{"the only one", []resumable{lately}, nil, "l"},
		{"the only one, of a client that had another length", []resumable{current}, had(lately), "c"},
		{"the one that it had", []resumable{current, lately, long}, had(lately), "l"},
		{"the one that it had long ago", []resumable{current, long}, had(long), "o"},
		{"the current one, which it had", []resumable{current, lately}, had(current), "c"},
		{"it had several", []resumable{current, lately}, had(current, lately), ""},
		{"told of twice", []resumable{current, lately}, had(lately, lately), "l"},
		{"not known, it may have either", []resumable{current, lately}, nil, ""},
		{"not known, the other is long gone", []resumable{current, long}, nil, "c"},
		{"not known, one of them is of late", []resumable{lately, long}, nil, "l"},
		{"not known, both are long gone", []resumable{long, longer}, nil, ""},
	} {
		got := ""
		if c := choose(tt.all, tt.had, now); c != nil {
			got = c.o.Version.ETag
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestHad(t *testing.T) {
	table, now := newHad(), time.Unix(1_800_000_000, 0)
	a, b := storage.VersionID{1}, storage.VersionID{2}
	who, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	id := storage.ObjectID{7}
	if !table.note(id, who, a, now) || table.note(id, who, a, now.Add(time.Second)) || !table.note(id, who, b, now) {
		t.Error("what is news is not told right")
	}
	if !table.note(id, who, a, now.Add(renewHad)) {
		t.Error("a client that goes on is not noted anew")
	}
	if got := table.of(id, who, now.Add(time.Minute)); len(got) != 2 {
		t.Errorf("it had %v", got)
	}
	if got := table.of(id, netip.MustParseAddr("::ffff:192.0.2.1"), now); len(got) != 2 {
		t.Errorf("by its other form it had %v", got)
	}
	for name, got := range map[string][]hadVersion{
		"another client": table.of(id, other, now), "another object": table.of(storage.ObjectID{8}, who, now),
		"much later": table.of(id, who, now.Add(time.Hour)),
	} {
		if len(got) != 0 {
			t.Errorf("%s had %v", name, got)
		}
	}
	for i := range 100_000 { // it is bounded
		table.note(storage.ObjectID{byte(i), byte(i >> 8), byte(i >> 16)}, other, a, now)
	}
}

// What was opened and given up before its first byte the client has not had.
func TestHadFromTheFirstByte(t *testing.T) {
	c := newChanging(t, 1, 0)
	c.set("1", 1000)
	req := c.request(c.path, storage.Span{End: 1000})
	req.Resumes, req.Client = true, netip.MustParseAddr("192.0.2.1")
	had := func() int { return len(c.nodes[0].had.of(req.Ref.ID(), req.Client, time.Now())) }
	content, err := c.nodes[0].Open(c.ctx, req)
	if err != nil {
		t.Fatal(err)
	}
	content.Close()
	if had() != 0 {
		t.Error("it had a version of which it got no byte")
	}
	if _, err := c.nodes[0].read(c.ctx, req, "1"); err != nil || had() != 1 {
		t.Errorf("it had %d versions, %v", had(), err)
	}
}

// changing is a cluster that serves one object of which the origin is asked at
// each request whether it has changed.
type changing struct {
	*cluster
	ctx  context.Context
	path string
}

// newChanging places chunk i of the object on node owners[i].
func newChanging(t *testing.T, n int, owners ...int) *changing {
	c := &changing{cluster: newCluster(t, n), ctx: within(t, 60*time.Second)}
	c.path = c.pathOf(owners...)
	return c
}

func (c *changing) set(version string, size int64) {
	c.origin.Add(faultorigin.Object{Path: c.path, Version: version, Size: size, Header: http.Header{"Cache-Control": {"max-age=0"}}})
}

// get reads span at node i for client, who has had a part of an object of total
// bytes (0 = begins) and checks that it is version's; it returns the bytes read.
func (c *changing) get(i int, client string, total int64, span storage.Span, version string) (int64, error) {
	req := c.request(c.path, span)
	req.Resumes, req.Total, req.Client = true, total, netip.MustParseAddr(client)
	return c.nodes[i].read(c.ctx, req, version)
}

const resumedSize = storage.ChunkSize + 2*storage.PieceSize + 77

// A client that comes back gets the version that it began with, at any node,
// after the node that served it is gone, and after its home is.
func TestResumeByAddress(t *testing.T) {
	all, rest := storage.Span{End: resumedSize}, storage.Span{Off: 3*storage.PieceSize + 5, End: resumedSize}
	const a, b, stranger = "192.0.2.1", "192.0.2.2", "192.0.2.3"
	begin := func(t *testing.T) *changing {
		c := newChanging(t, 4, 0, 1)
		c.set("1", resumedSize)
		if _, err := c.get(2, a, 0, all, "1"); err != nil {
			t.Fatal(err)
		}
		c.set("2", resumedSize)
		if _, err := c.get(3, b, 0, all, "2"); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the home is told", func() bool {
			id, now := c.ref(c.path).ID(), time.Now()
			return len(c.nodes[0].had.of(id, netip.MustParseAddr(a), now)) == 1 && len(c.nodes[0].had.of(id, netip.MustParseAddr(b), now)) == 1
		})
		return c
	}
	resume := func(t *testing.T, c *changing, nodes ...int) {
		t.Helper()
		c.origin.Ledger().Reset()
		for _, i := range nodes {
			for client, version := range map[string]string{a: "1", b: "2"} {
				if n, err := c.get(i, client, resumedSize, rest, version); err != nil || n != rest.Len() {
					t.Errorf("node %d, version %s: %d bytes, %v", i, version, n, err)
				}
			}
		}
		if n := c.origin.Ledger().Bytes(c.path); n != 0 {
			t.Errorf("the origin sent %d bytes", n)
		}
	}
	t.Run("at any node", func(t *testing.T) {
		c := begin(t)
		resume(t, c, 0, 1, 2, 3)
		if _, err := c.get(1, stranger, resumedSize, rest, "2"); !errors.Is(err, storage.ErrVersionGone) {
			t.Errorf("a client that may have either: %v", err)
		}
		if _, err := c.get(1, a, 0, all, "2"); err != nil {
			t.Errorf("the client begins anew: %v", err)
		}
		if _, err := c.get(0, a, resumedSize, rest, "2"); !errors.Is(err, storage.ErrVersionGone) {
			t.Errorf("a client that has had both: %v", err)
		}
	})
	t.Run("after the node that served it is gone", func(t *testing.T) {
		c := begin(t)
		c.kill(2)
		c.see(2, ring.Failed)
		resume(t, c, 1, 3)
	})
	t.Run("after its home is gone", func(t *testing.T) {
		c := begin(t)
		for i := range 4 { // what only the home holds is not the matter here
			if i != 2 {
				if _, err := c.get(i, a, resumedSize, all, "1"); err != nil {
					t.Fatal(err)
				}
			}
		}
		c.kill(0)
		c.see(0, ring.Failed)
		resume(t, c, 1, 3)
	})
}

// By its length an earlier version is found at nodes that never served it, and
// after all have restarted.
func TestResumeByLength(t *testing.T) {
	c := newChanging(t, 3, 0, 1)
	size := func(v int) int64 { return resumedSize + int64(v)*1000 }
	for v := 1; v <= 3; v++ {
		c.set(fmt.Sprint(v), size(v))
		if _, err := c.get(2, "192.0.2.1", 0, storage.Span{End: size(v)}, fmt.Sprint(v)); err != nil {
			t.Fatal(err)
		}
	}
	resume := func() {
		t.Helper()
		for i := range 3 {
			for v := 1; v <= 3; v++ {
				rest := storage.Span{Off: storage.ChunkSize - 100, End: size(v)}
				if n, err := c.get(i, fmt.Sprintf("192.0.2.%d", 100+i), size(v), rest, fmt.Sprint(v)); err != nil || n != rest.Len() {
					t.Errorf("node %d, version %d: %d bytes, %v", i, v, n, err)
				}
			}
			rest := storage.Span{Off: 5, End: size(7)}
			if n, err := c.get(i, "192.0.2.1", size(7), rest, "3"); !errors.Is(err, storage.ErrVersionGone) || n != 0 {
				t.Errorf("node %d, no version of that length: %d bytes, %v", i, n, err)
			}
		}
	}
	resume()
	for _, n := range c.nodes {
		n.stop()
	}
	for _, n := range c.nodes {
		n.again()
	}
	for _, n := range c.nodes {
		n.look()
	}
	resume()
	if n := c.origin.Ledger().MaxTimes(c.path); n != 1 {
		t.Errorf("a byte was fetched %d times", n)
	}
}

// What is not held of an earlier version is gone: nothing of another is sent in
// its place, and the origin is not asked for it.
func TestResumeOfWhatIsNotHeld(t *testing.T) {
	c := newChanging(t, 3, 0, 1)
	c.set("1", resumedSize)
	if _, err := c.get(2, "192.0.2.1", 0, piece(0), "1"); err != nil {
		t.Fatal(err)
	}
	c.set("2", resumedSize+1)
	if _, err := c.get(0, "192.0.2.2", 0, piece(0), "2"); err != nil {
		t.Fatal(err)
	}
	c.origin.Ledger().Reset()
	for i := range 3 {
		if n, err := c.get(i, "192.0.2.1", resumedSize, storage.Span{Off: 4 << 20, End: resumedSize}, "1"); !errors.Is(err, storage.ErrVersionGone) || n != 0 {
			t.Errorf("node %d: %d bytes, %v", i, n, err)
		}
	}
	for _, e := range c.origin.Ledger().Requests(c.path) {
		if e.Header.Get("If-None-Match") == "" && e.Header.Get("If-Modified-Since") == "" && e.Bytes() > storage.PieceSize {
			t.Errorf("the origin was asked for %v", e.Asked)
		}
	}
}

// A client that had a version from before a purge does not go on with the one in
// its place, though no other of that length is known: it had other bytes.
func TestResumeAfterPurge(t *testing.T) {
	var p purging
	p.set(none(testCluster), 0, 1)
	c := &changing{cluster: newCluster(t, 2, p.tune), ctx: within(t, 60*time.Second)}
	c.path = c.pathOf(0)
	c.poison(c.path)
	const had, stranger = "192.0.2.1", "192.0.2.2"
	all, rest := storage.Span{End: purgedSize}, storage.Span{Off: 100_000, End: purgedSize}
	if _, err := c.get(1, had, 0, all, "poison"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the home is told", func() bool {
		return len(c.nodes[0].had.of(c.ref(c.path).ID(), netip.MustParseAddr(had), time.Now())) == 1
	})
	c.heal(c.path)
	p.set(markOf(c.path), 0, 1)
	c.acknowledge(5, 0, 1)
	for i := range 2 {
		if n, err := c.get(i, had, purgedSize, rest, "good"); !errors.Is(err, storage.ErrVersionGone) || n != 0 {
			t.Errorf("node %d mixes: %d bytes, %v", i, n, err)
		}
		if n, err := c.get(i, stranger, purgedSize, rest, "good"); err != nil || n != rest.Len() {
			t.Errorf("node %d, a client that had nothing of it: %d bytes, %v", i, n, err)
		}
	}
	if _, err := c.get(0, had, 0, all, "good"); err != nil {
		t.Errorf("it begins anew: %v", err)
	}
	for i := range 2 {
		if n, err := c.get(i, had, purgedSize, rest, "good"); err != nil || n != rest.Len() {
			t.Errorf("node %d, anew: %d bytes, %v", i, n, err)
		}
	}
}

// What no node can mean is not noted of any client.
func TestBegunFromPeers(t *testing.T) {
	c := newCluster(t, 1)
	s := &service{f: c.nodes[0].Filler}
	id, v := storage.ObjectID{5}, storage.VersionID{6}
	client := clientToProto(netip.MustParseAddr("192.0.2.9"))
	good := func() *peerv1.Begun {
		return &peerv1.Begun{Object: id[:], Client: client, Had: hadToProto(v, time.Minute)}
	}
	for name, spoil := range map[string]func(*peerv1.Begun){
		"object": func(b *peerv1.Begun) { b.Object = b.Object[1:] }, "client": func(b *peerv1.Begun) { b.Client = b.Client[:4] },
		"version": func(b *peerv1.Begun) { b.Had.Version = nil }, "age": func(b *peerv1.Begun) { b.Had.AgeNanos = -1 }, "nothing": func(b *peerv1.Begun) { b.Had = nil },
	} {
		b := good()
		spoil(b)
		if _, err := s.Began(t.Context(), &peerv1.BeganRequest{Begun: []*peerv1.Begun{b}}); err == nil {
			t.Errorf("a bad %s is taken", name)
		}
	}
	if _, err := s.Began(t.Context(), &peerv1.BeganRequest{Begun: []*peerv1.Begun{good()}}); err != nil {
		t.Error(err)
	}
	told, err := s.f.tellHad(id, client)
	if err != nil || len(told) != 1 || told[0].GetAgeNanos() < int64(time.Minute) {
		t.Errorf("told %v, %v", told, err)
	}
	if _, err := s.f.tellHad(id, client[:4]); err == nil {
		t.Error("a short address is taken")
	}
}
