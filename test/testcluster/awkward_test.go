package testcluster_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mccd/mccd/cmd/mccd/node"
	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/faultorigin"
	"github.com/mccd/mccd/test/testcluster"
)

// What profile http cannot store is streamed: each client has an answer of its
// own, whose first bytes it has while the origin is still at the next.
func TestAwkwardOriginsAreStreamed(t *testing.T) {
	const size, first = 1<<20 + 77, 1000
	o, c := served(t, testcluster.Config{Nodes: 2})
	noStore := http.Header{"Cache-Control": {"no-store"}}
	for name, b := range map[string]faultorigin.Behaviour{
		"uncacheable":            {Header: noStore},
		"uncacheable, no ranges": {Header: noStore, IgnoreRange: true},
		"unknown length":         {Chunked: true, IgnoreRange: true},
		"until the close":        {UntilClose: true, IgnoreRange: true},
		"a cookie":               {Header: http.Header{"Set-Cookie": {"a=b"}}},
		"varies":                 {Header: http.Header{"Vary": {"Accept-Language"}}},
		"coded":                  {Gzip: true, Header: http.Header{"Vary": {"Accept-Encoding"}}},
	} {
		t.Run(name, func(t *testing.T) {
			path := "/" + strings.NewReplacer(" ", "-", ",", "").Replace(name)
			o.Add(faultorigin.Object{Path: path, Size: size})
			o.Script(path, b)
			ctx := timeout(t)
			read := func(n *testcluster.Node, gate *faultorigin.Gate) {
				t.Helper()
				resp, err := ask(ctx, client(), n, host, path, "")
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				body := io.Reader(resp.Body)
				if b.Gzip {
					if resp.Header.Get("Content-Encoding") != "gzip" {
						t.Fatalf("the coding is lost: %v", resp.Header)
					}
					if body, err = gzip.NewReader(resp.Body); err != nil {
						t.Fatal(err)
					}
				}
				if err := check(body, path, "1", 0, first); err != nil || resp.StatusCode != http.StatusOK {
					t.Fatalf("the first bytes: %d, %v", resp.StatusCode, err)
				}
				gate.Open()
				if err := check(body, path, "1", first, size-first); err != nil {
					t.Fatal(err)
				}
				if n, err := io.Copy(io.Discard, body); n != 0 || err != nil {
					t.Fatalf("%d bytes more, %v", n, err)
				}
			}
			open := faultorigin.NewGate()
			open.Open()
			for _, n := range c.Nodes {
				read(n, open)
			}
			before := len(o.Ledger().Requests(path))
			held := b
			held.BodyGate, held.HoldAfter = faultorigin.NewGate(), 64<<10
			o.Script(path, held)
			read(c.Nodes[0], held.BodyGate)
			for range 3 {
				read(c.Nodes[1], open)
			}
			if n := len(o.Ledger().Requests(path)) - before; n != 4 {
				t.Errorf("the origin was asked %d times by 4 clients that do not share", n)
			}
		})
	}
}

// In profile do an answer without a length is spooled: who waits too long gets
// 503, and then it is an object like any other.
func TestUnknownLengthsInProfileDO(t *testing.T) {
	const size = 9<<20 + 5
	o, c := served(t, testcluster.Config{Nodes: 2, Edit: func(_ int, cfg *node.Config) {
		cfg.Timeouts.ClientFirstByte = 300 * time.Millisecond
		cfg.Timeouts.Stall = 20 * time.Second
	}}, faultorigin.Object{Path: "/a", Size: size})
	gate := faultorigin.NewGate()
	defer gate.Open()
	o.Script("/a", faultorigin.Behaviour{Chunked: true, IgnoreRange: true, BodyGate: gate, HoldAfter: 1 << 20})
	ctx := timeout(t)
	resp, err := ask(ctx, client(), c.Nodes[0], updates, "/a", "")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("status %d before the length is known, want 503", resp.StatusCode)
	}
	gate.Open()
	for _, n := range c.Nodes {
		// Until it is spooled; and 300 ms are short on a busy machine.
		for _, span := range []storage.Span{{}, {Off: 8 << 20, End: size}} {
			for err = io.EOF; err != nil && ctx.Err() == nil; {
				err = getFrom(ctx, n, updates, "/a", "1", span)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if n := len(o.Ledger().Requests("/a")); n != 1 {
		t.Errorf("the origin was asked %d times, want once", n)
	}
}
