package peer

import (
	"testing"
	"time"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/faultorigin"
)

// A new object while its home, which owns its first chunk too, stands still.
func TestColdObjectWhileHomeIsFrozen(t *testing.T) {
	c := newCluster(t, 4)
	path := c.path(0)
	c.origin.Add(faultorigin.Object{Path: path, Size: 20 << 20})
	c.nodes[0].wires.freeze()
	ctx := within(t, time.Minute)
	err := herd(9, func(i int) error {
		off := int64(i%2) * (9 << 20)
		_, err := c.nodes[1+i%3].read(ctx, c.request(path, storage.Span{Off: off, End: off + 2<<20}), "1")
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if n := c.origin.Ledger().MaxTimes(path); n != 1 {
		t.Errorf("a byte was fetched %d times", n)
	}
}

// A lease holder that stands still loses the lease to one who waits; when it
// goes on, its own clients get their bytes.
func TestLeaseHolderFrozen(t *testing.T) {
	c := newCluster(t, 4, func(_ *node, cfg *Config) { cfg.BreakerOpen = 2 * time.Second })
	path := c.pathOf(0, 1, 2)
	c.origin.Add(faultorigin.Object{Path: path, Size: 40 << 20})
	gate := faultorigin.NewGate()
	c.origin.Script(path, faultorigin.Behaviour{Requests: []int{1}, Gate: gate})
	ctx := within(t, time.Minute)
	read := func(node int, chunk int64) <-chan error {
		end := make(chan error, 1)
		off := chunk * storage.ChunkSize
		go func() {
			_, err := c.nodes[node].read(ctx, c.request(path, storage.Span{Off: off, End: off + storage.PieceSize}), "1")
			end <- err
		}()
		return end
	}
	holder := read(1, 1) // the owner of chunk 1 takes the lease
	if err := c.origin.Ledger().WaitRequests(ctx, path, 1); err != nil {
		t.Fatal(err)
	}
	c.nodes[1].wires.freeze()
	if err := <-read(3, 2); err != nil {
		t.Errorf("who waited for the lease: %v", err)
	}
	gate.Open()
	c.nodes[1].wires.thaw()
	if err := <-holder; err != nil {
		t.Errorf("the lease holder: %v", err)
	}
	if n := c.origin.Ledger().MaxTimes(path); n != 1 {
		t.Errorf("a byte was fetched %d times", n)
	}
}
