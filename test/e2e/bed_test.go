package e2e_test

import (
	"cmp"
	"context"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/faultorigin"
	"github.com/mccd/mccd/test/process"
	"github.com/mccd/mccd/test/process/herd"
)

const (
	mib = 1 << 20
	// cdn is a host of the built-in catalogue; the tests' rule stands before
	// it and leads to the scripted origin.
	cdn = "au.download.windowsupdate.com"
	// testLimit bounds one test; every wait ends with it.
	testLimit = 4 * time.Minute
	// stopGrace is for fills that end first, of which one may be slow.
	stopGrace = time.Minute
	// patience is how long nodes wait for one that is silent, where that is not
	// what a test is about. A machine under load lets a process stand still for
	// longer than impatience, the default: others act in its place then, and bytes
	// come twice for no fault of theirs.
	patience, impatience = "1800ms", "300ms"
)

// setting says what bed a test wants. Zero values: one node, an origin without
// a bound, drives of 4 GiB.
type setting struct {
	nodes int
	// rate bounds what the origin sends in bytes/s.
	rate    int64
	observe func(faultorigin.Event)
	// choose is the origin's; nil = an honest one. origins are more rules.
	choose  func(path string, n int) faultorigin.Behaviour
	origins []process.Origin
	// dir is a folder of real files that the origin serves; empty: none.
	dir string
	// vhosts are rules with any key of docs/configuration.md; what they leave
	// open is profile http at the scripted origin.
	vhosts []map[string]any
	drive  string
	// alone leaves each node a cluster of its own.
	alone bool
	amend func(i int, settings map[string]any)
	// silence is peer_silence; empty = patience.
	silence string
	// limit bounds the test; 0 = testLimit.
	limit time.Duration
	// host is process.Config's; originIP is where the origin then listens.
	host     func(i int) (ip string, wrap []string)
	originIP string
}

// bed is an origin and the nodes that fetch from it.
type bed struct {
	*testing.T
	ctx    context.Context
	origin *faultorigin.Server
	*process.Cluster
}

// newBed starts origin and nodes; all of it ends with the test, and the logs
// of the nodes are shown when it failed.
func newBed(t *testing.T, want setting) *bed {
	t.Helper()
	b := prepareBed(t, want)
	if err := b.Start(b.ctx); err != nil {
		t.Fatal(err)
	}
	return b
}

// prepareBed makes what newBed makes but starts no node.
func prepareBed(t *testing.T, want setting) *bed {
	t.Helper()
	if testing.Short() {
		t.Skip("starts processes; not with -short")
	}
	ctx, cancel := context.WithTimeout(context.Background(), cmp.Or(want.limit, testLimit))
	t.Cleanup(cancel)
	// Not t.TempDir: a Unix socket's path must be short.
	dir, err := os.MkdirTemp("", "mccd-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	listener, err := process.ListenOrigin(cmp.Or(want.originIP, "127.0.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	origin, err := faultorigin.Listen(faultorigin.Config{Listener: listener, Rate: want.rate, Observe: want.observe, Choose: want.choose, Dir: want.dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(origin.Close)
	cluster, err := process.New(process.Config{
		Bin: os.Getenv(binEnv), Dir: dir, Nodes: want.nodes, DriveSize: want.drive, Alone: want.alone, Host: want.host,
		Amend: want.amendments(origin.Addr()),
		Origins: append([]process.Origin{{
			Name: "test-cdn", Hosts: []string{cdn}, Profile: "do", Connect: origin.Addr(), AllowPrivate: true,
		}}, want.origins...),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Close(stopGrace); err != nil {
			t.Errorf("stop the nodes: %v", err)
		}
		if t.Failed() {
			cluster.DumpLogs(t.Output())
		}
	})
	return &bed{T: t, ctx: ctx, origin: origin, Cluster: cluster}
}

// object adds an object to the origin and returns what clients ask for; its
// content is kept once and compared byte by byte.
func (b *bed) object(path string, size int64) *herd.Object {
	b.Helper()
	b.origin.Add(faultorigin.Object{Path: path, Size: size})
	content := make([]byte, size)
	faultorigin.Fill(content, path, faultorigin.DefaultVersion, 0)
	return &herd.Object{Host: cdn, Path: path, Size: size, Check: herd.Equal(content)}
}

// addrsFrom returns the nodes' addresses as a client's list that begins with
// node first.
func (b *bed) addrsFrom(first int) []string {
	addrs := make([]string, len(b.Nodes))
	for i := range addrs {
		addrs[i] = b.Nodes[(first+i)%len(b.Nodes)].Addr
	}
	return addrs
}

// herd lets clients read at once, spread over the nodes in turn, and returns
// each one's result when the last is done. change may amend a client.
func (b *bed) herd(o *herd.Object, clients int, plan func(i int) []storage.Span, change func(*herd.Client)) []*herd.Result {
	b.Helper()
	results := make([]*herd.Result, clients)
	var wg sync.WaitGroup
	for i := range clients {
		c := &herd.Client{Nodes: b.addrsFrom(i % len(b.Nodes))}
		if change != nil {
			change(c)
		}
		spans := plan(i)
		wg.Go(func() { results[i] = c.Read(b.ctx, o, spans, 1) })
	}
	wg.Wait()
	return results
}

// read is one client that reads plan at node i, and must not fail.
func (b *bed) read(o *herd.Object, node int, plan []storage.Span) *herd.Result {
	b.Helper()
	c := &herd.Client{Nodes: []string{b.Nodes[node].Addr}}
	r := c.Read(b.ctx, o, plan, 1)
	b.clean(r)
	return r
}

// clean fails the test unless everything came, at once and right. Failures at
// the nodes named are excused.
func (b *bed) clean(r *herd.Result, excused ...string) {
	b.Helper()
	const show = 5
	if failed := r.FailedAt(excused...); len(failed) > 0 {
		b.Errorf("%d requests failed, the first of them: %v", len(failed), failed[:min(len(failed), show)])
	}
	if len(r.Wrong) > 0 {
		b.Errorf("%d spans with wrong bytes: %v", len(r.Wrong), r.Wrong[:min(len(r.Wrong), show)])
	}
	if len(r.Unread) > 0 {
		b.Errorf("%d spans not read: %v", len(r.Unread), r.Unread[:min(len(r.Unread), show)])
	}
}

// once fails the test unless each byte of o was requested and sent exactly
// once.
func (b *bed) once(o *herd.Object) {
	b.Helper()
	ledger := b.origin.Ledger()
	var asked int64
	entries := ledger.Requests(o.Path)
	for _, e := range entries {
		asked += e.Asked.Len()
	}
	b.Logf("origin: %d requests, %d bytes asked for, %d sent, %d different, object %d", len(entries), asked, ledger.Bytes(o.Path), ledger.Union(o.Path), o.Size)
	if ledger.Union(o.Path) != o.Size || ledger.MaxTimes(o.Path) != 1 || asked != o.Size {
		b.Errorf("not each byte once: sent %d, different %d, asked %d of %d, one byte up to %d times",
			ledger.Bytes(o.Path), ledger.Union(o.Path), asked, o.Size, ledger.MaxTimes(o.Path))
		b.explain(entries)
	}
}

// explain logs the requests at the origin that overlap another one, and what
// the nodes count of peers passed over.
func (b *bed) explain(entries []faultorigin.Entry) {
	b.Helper()
	for i, e := range entries {
		overlaps := func(o faultorigin.Entry) bool { return o.N != e.N && o.Asked.Intersect(e.Asked).Len() > 0 }
		if slices.ContainsFunc(entries, overlaps) {
			b.Logf("request %d after %v by %s: asked %s, got %v", e.N, e.Began.Sub(entries[0].Began).Round(time.Millisecond),
				e.Header.Get("Via"), e.Asked, entries[i].Sent)
		}
	}
	for _, n := range b.Running() {
		m, err := n.Metrics(b.ctx)
		if err != nil {
			continue
		}
		for name, v := range m {
			if v != 0 && (strings.HasPrefix(name, "mccd_peer_passed_over") || strings.HasPrefix(name, "mccd_resolves") || strings.HasPrefix(name, "mccd_fill")) {
				b.Logf("%s %s %v", n.Name, name, v)
			}
		}
	}
}
