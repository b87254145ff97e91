package peer

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/faultorigin"
)

// A response that has begun ends on its version by what any node holds, also
// one of which the owner does not know.
func TestBegunVersionFromAnyHolder(t *testing.T) {
	c := newChanging(t, 4, 0, 1)
	c.set("1", resumedSize)
	all := storage.Span{End: resumedSize}
	if _, err := c.get(3, "192.0.2.3", 0, all, "1"); err != nil {
		t.Fatal(err)
	}
	req := c.request(c.path, all)
	begun, err := c.nodes[2].Open(c.ctx, req)
	if err != nil {
		t.Fatal(err)
	}
	defer begun.Close()
	old := begun.Object()
	c.set("2", resumedSize)
	for i := range 2 {
		if _, err := c.get(i, "192.0.2.2", 0, all, "2"); err != nil {
			t.Fatal(err)
		}
	}
	// The owners lose what they hold of it, and what they know of who does.
	for i := range 2 {
		key := old.Key(uint32(i))
		if err := c.nodes[i].store.DropChunk(c.ctx, key, nil); err != nil {
			t.Fatal(err)
		}
		c.nodes[i].book.Forget("n3", key)
		c.nodes[i].book.Forget("n2", key)
	}
	c.origin.Ledger().Reset()
	if n, err := c.nodes[2].readFrom(c.ctx, begun, all, "1"); err != nil || n != resumedSize {
		t.Errorf("%d bytes, %v", n, err)
	}
	if n := c.origin.Ledger().Bytes(c.path); n != 0 {
		t.Errorf("the origin sent %d bytes", n)
	}
}

// Edges that answer now with one version and now with another: nothing is
// mixed, all is served, and the object is not fetched over and over.
func TestEdgesDisagree(t *testing.T) {
	for name, cacheControl := range map[string]string{"fresh for long": "max-age=3600", "never fresh": "max-age=0"} {
		t.Run(name, func(t *testing.T) {
			c, forward := skewed(t, 3)
			const size = 2*storage.ChunkSize + 77
			path := c.pathOf(0, 1, 2)
			c.origin.Add(faultorigin.Object{Path: path, Size: size, Header: http.Header{"Date": nil, "Cache-Control": {cacheControl}}})
			var odd []int
			for i := range 1000 {
				odd = append(odd, 2*i+1)
			}
			c.origin.Script(path, faultorigin.Behaviour{Requests: odd, Version: "2"})
			ctx := within(t, 90*time.Second)
			var whole, cut atomic.Int64
			read := func(i int) error {
				req := c.request(path, storage.Span{End: math.MaxInt64})
				req.Whole = true
				for range 3 { // as the gateway does, before the first byte
					content, err := c.nodes[i%3].Open(ctx, req)
					if err != nil {
						return fmt.Errorf("reader %d: open: %w", i, err)
					}
					version := "1"
					if content.Object().Version.ETag == faultorigin.ETag(path, "2") {
						version = "2"
					}
					n, err := c.nodes[i%3].readFrom(ctx, content, storage.Span{End: size}, version)
					content.Close()
					switch {
					case err == nil && n == size:
						whole.Add(1)
						return nil
					case !errors.Is(err, storage.ErrVersionGone):
						return fmt.Errorf("reader %d of version %s: %d bytes: %w", i, version, n, err)
					case n > 0:
						cut.Add(1)
						return nil
					}
				}
				return fmt.Errorf("reader %d: it goes on changing", i)
			}
			for range 3 {
				if err := herd(9, read); err != nil {
					t.Fatal(err)
				}
			}
			if before := cut.Load(); herd(9, read) != nil || cut.Load() != before {
				t.Error("it is not settled which version counts")
			}
			for range 5 {
				forward(time.Minute)
				if err := herd(3, read); err != nil {
					t.Error(err)
				}
			}
			sent := c.origin.Ledger().Bytes(path)
			t.Logf("%d whole, %d cut, %d requests, %.2f times the object from the origin", whole.Load(), cut.Load(),
				len(c.origin.Ledger().Requests(path)), float64(sent)/size)
			if sent > 2*size {
				t.Errorf("the origin sent %d bytes for an object of %d", sent, size)
			}
		})
	}
}
