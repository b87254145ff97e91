package peer

import (
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/mccd/mccd/ring"
	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/faultorigin"
)

// When the node that fills an object whole is dead, one other takes its place.
func TestWholeObjectAfterItsNodeDied(t *testing.T) {
	c := newCluster(t, 4)
	ctx := within(t, 60*time.Second)
	path := c.path(0)
	const size = 9 << 20
	c.origin.Add(faultorigin.Object{Path: path, Size: size})
	c.origin.Script(path, faultorigin.Behaviour{IgnoreRange: true})
	head := c.request(path, storage.Span{End: size})
	head.HeadOnly = true
	for _, n := range c.nodes {
		content, err := n.Open(ctx, head)
		if err != nil {
			t.Fatal(err)
		}
		if got := content.Object().Whole; got != "n0" {
			t.Fatalf("filled whole by %q", got)
		}
		content.Close()
	}
	if err := c.origin.Ledger().WaitDone(ctx, path, 1); err != nil {
		t.Fatal(err)
	}
	c.kill(0)
	c.see(0, ring.Failed)
	c.origin.Ledger().Reset()
	err := herd(3, func(i int) error {
		_, err := c.nodes[1+i].read(ctx, c.request(path, storage.Span{End: size}), "1")
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if n := len(c.origin.Ledger().Requests(path)); n != 1 {
		t.Errorf("%d requests for the whole object, %d bytes of %d", n, c.origin.Ledger().Bytes(path), size)
	}
}

// Origins whose answers cannot be joined: filled once, right everywhere.
func TestOriginWithoutRangesOrValidators(t *testing.T) {
	for name, b := range map[string]faultorigin.Behaviour{
		"ignores range": {IgnoreRange: true}, "no validators": {NoValidators: true},
		"weak, ignores range": {WeakETag: true, NoValidators: true, IgnoreRange: true},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, 3)
			const size = 9<<20 + 77
			path := c.path(0)
			c.origin.Add(faultorigin.Object{Path: path, Size: size, Header: http.Header{"Cache-Control": {"max-age=600"}}})
			c.origin.Script(path, b)
			ctx := within(t, 60*time.Second)
			err := herd(9, func(i int) error {
				req := c.request(path, storage.Span{End: math.MaxInt64})
				req.Whole = true
				_, err := c.nodes[i%3].read(ctx, req, "1")
				return err
			})
			if err != nil {
				t.Error(err)
			}
			// A ranged answer that cannot be joined is given up for a whole one.
			if n := c.origin.Ledger().Bytes(path); n > size+storage.PieceSize {
				t.Errorf("the origin sent %d bytes of %d", n, size)
			}
		})
	}
}

// What nothing tells the age and version of is asked for once by all who come
// while it arrives; who reads it gets it to its end although a newer one is
// known by then.
func TestUnlabelledObjectWhileItArrives(t *testing.T) {
	c := newCluster(t, 3)
	const size = 3*storage.ChunkSize + 77
	path := c.path(0)
	c.origin.Add(faultorigin.Object{Path: path, Size: size})
	c.origin.Script(path, faultorigin.Behaviour{NoValidators: true, IgnoreRange: true, Rate: 16 << 20})
	ctx := within(t, 60*time.Second)
	all := c.request(path, storage.Span{End: math.MaxInt64})
	all.Whole = true
	var early []*Content
	for _, n := range c.nodes { // one after the other: each asks after the last was answered
		content, err := n.Open(ctx, all)
		if err != nil {
			t.Fatal(err)
		}
		defer content.Close()
		early = append(early, content)
	}
	if n := len(c.origin.Ledger().Requests(path)); n != 1 {
		t.Fatalf("%d requests while the first answer arrives", n)
	}
	home := c.nodes[0]
	newer := *early[0].Object()
	newer.Version.Nonce++
	newer.Registration++
	for _, n := range c.nodes {
		n.cache.Publish(&newer)
	}
	if !home.superseded(early[0].Object()) {
		t.Fatal("the newer version is not known")
	}
	err := herd(len(early), func(i int) error {
		_, err := c.nodes[i].readFrom(ctx, early[i], storage.Span{End: size}, "1")
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
