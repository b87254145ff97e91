package peer

import (
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
