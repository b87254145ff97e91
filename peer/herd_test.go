package peer

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/mccd/mccd/ring"
	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/faultorigin"
)

// A cold herd at all nodes costs each byte once.
func TestColdHerdFetchesOnce(t *testing.T) {
	c := newCluster(t, 3)
	const size = 20<<20 + 12345
	path := c.path(0)
	c.origin.Add(faultorigin.Object{Path: path, Size: size})
	ctx := within(t, time.Minute)
	err := herd(12, func(i int) error {
		req := c.request(path, storage.Span{End: math.MaxInt64})
		req.Whole = true
		_, err := c.nodes[i%3].read(ctx, req, "1")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	l := c.origin.Ledger()
	if l.MaxTimes(path) != 1 || l.Bytes(path) != size {
		t.Errorf("the origin sent %d bytes of %d, one of them %d times", l.Bytes(path), size, l.MaxTimes(path))
	}
}

// Views that disagree about who lives cost duplicates, never a wait in a
// circle nor a wrong byte.
func TestViewsThatDisagree(t *testing.T) {
	c := newCluster(t, 3)
	for i, n := range c.nodes { // each takes another one for dead
		n.states[(i+1)%3] = ring.Failed
		n.look()
	}
	const size = 17 << 20
	path := c.path(0)
	c.origin.Add(faultorigin.Object{Path: path, Size: size})
	ctx := within(t, 60*time.Second)
	err := herd(6, func(i int) error {
		req := c.request(path, storage.Span{End: math.MaxInt64})
		req.Whole = true
		_, err := c.nodes[i%3].read(ctx, req, "1")
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if n := c.origin.Ledger().MaxTimes(path); n > 3 {
		t.Errorf("a byte was fetched %d times", n)
	}
}

// Pieces in random order from all nodes, each byte once.
func TestPiecesInAnyOrder(t *testing.T) {
	c := newCluster(t, 3)
	const size = 17<<20 + 4321
	path := c.path(2)
	c.origin.Add(faultorigin.Object{Path: path, Size: size})
	ctx := within(t, 60*time.Second)
	pieces := size/storage.PieceSize + 1
	err := herd(12, func(i int) error {
		for k := range pieces {
			at := piece(int64((k*7 + i*11) % pieces))
			if _, err := c.nodes[i%3].read(ctx, c.request(path, at), "1"); err != nil {
				return fmt.Errorf("reader %d, %s: %w", i, at, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if n := c.origin.Ledger().MaxTimes(path); n != 1 {
		t.Errorf("a byte was fetched %d times", n)
	}
}
