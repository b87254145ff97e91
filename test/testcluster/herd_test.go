package testcluster_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/faultorigin"
	"github.com/mccd/mccd/test/testcluster"
)

const size = 40<<20 + 12345

// A herd at all nodes costs the origin each byte once.
func TestColdHerdOfWholeFiles(t *testing.T) {
	o, c := served(t, testcluster.Config{}, faultorigin.Object{Path: "/a", Size: size})
	ctx := timeout(t)
	together(t, 18, func(i int) error { return get(ctx, c.Nodes[i%3], "/a", "1", storage.Span{}) })
	onceEach(t, o, "/a", size)
}

func TestColdHerdOfPieces(t *testing.T) {
	o, c := served(t, testcluster.Config{}, faultorigin.Object{Path: "/a", Size: size})
	ctx := timeout(t)
	together(t, 12, func(i int) error {
		for _, span := range pieces(size, uint64(i)) {
			if err := get(ctx, c.Nodes[i%3], "/a", "1", span); err != nil {
				return fmt.Errorf("client %d, %s: %w", i, span, err)
			}
		}
		return nil
	})
	onceEach(t, o, "/a", size)
}

// Clients that come at the same time for different parts of an object that
// nobody has heard of share one question about its version.
func TestFirstQuestionsOfManyParts(t *testing.T) {
	o, c := served(t, testcluster.Config{}, faultorigin.Object{Path: "/a", Size: size})
	ctx := timeout(t)
	spans := pieces(size, 7)
	together(t, len(spans), func(i int) error { return get(ctx, c.Nodes[i%3], "/a", "1", spans[i]) })
	onceEach(t, o, "/a", size)
}

// A sparse read costs what it asks for, rounded to pieces.
func TestSparseReads(t *testing.T) {
	o, c := served(t, testcluster.Config{}, faultorigin.Object{Path: "/a", Size: size})
	ctx := timeout(t)
	offs := []int64{0, 9 << 20, 17<<20 + 5, 39 << 20, 25<<20 + 77}
	together(t, len(offs), func(i int) error {
		return get(ctx, c.Nodes[i%3], "/a", "1", storage.Span{Off: offs[i], End: offs[i] + 1000})
	})
	if got, want := o.Ledger().Report(false).Total.Bytes, int64(len(offs))*storage.PieceSize; got != want {
		t.Errorf("origin sent %d bytes for %d sparse reads, want %d", got, len(offs), want)
	}
}

// Origins that ignore Range, or give no validator, are asked once too.
func TestColdHerdAtAwkwardOrigins(t *testing.T) {
	// Without freshness a client that comes after the end would be right to
	// have it fetched again.
	fresh := http.Header{"Cache-Control": {"max-age=600"}}
	for name, b := range map[string]faultorigin.Behaviour{
		"ignores range":   {IgnoreRange: true, Header: fresh},
		"no validators":   {NoValidators: true, IgnoreRange: true, Header: fresh},
		"weak validators": {WeakETag: true, IgnoreRange: true, Header: fresh},
	} {
		t.Run(name, func(t *testing.T) {
			o, c := served(t, testcluster.Config{}, faultorigin.Object{Path: "/a", Size: size})
			o.Script("/a", b)
			ctx := timeout(t)
			together(t, 12, func(i int) error { return get(ctx, c.Nodes[i%3], "/a", "1", storage.Span{}) })
			onceEach(t, o, "/a", size)
		})
	}
}
