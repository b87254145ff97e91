package peer

import (
	"math"
	"sync"
	"testing"
	"time"

	"github.com/mccd/mccd/ring"
	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/disk"
	"github.com/mccd/mccd/test/faultorigin"
)

// heldBytes returns how many bytes of the object node n has on its drive.
func (n *node) heldBytes(id storage.ObjectID, size int64) int64 {
	held := int64(0)
	n.store.Keys(func(key storage.ChunkKey, present disk.Bitmap) bool {
		if key.Object == id {
			cs := storage.ChunkSpan(size, key.Index)
			for i := range storage.BlocksPerChunk {
				if present.Has(i) {
					held += min(storage.BlockSize, cs.Len()-int64(i)*storage.BlockSize)
				}
			}
		}
		return true
	})
	return held
}

// survivors reads an object whole at nodes 1 and 2 while fault happens to node
// 0 in the middle, and returns what the origin sent more than once, and what
// node 0 held and had in flight at the fault.
func survivors(t *testing.T, c *cluster, fault func()) (extra, held int64, open int) {
	t.Helper()
	const size = 48 << 20
	path := c.pathOf(0, 0, 0, 0)
	c.origin.Add(faultorigin.Object{Path: path, Size: size})
	c.origin.Script(path, faultorigin.Behaviour{Rate: 4 << 20})
	ctx := within(t, 60*time.Second)
	var reading sync.WaitGroup
	for i := range 6 {
		reading.Go(func() {
			req := c.request(path, storage.Span{End: math.MaxInt64})
			req.Whole = true
			n, err := c.nodes[1+i%2].read(ctx, req, "1")
			if err != nil || n != size {
				t.Errorf("reader %d: %d bytes, %v", i, n, err)
			}
		})
	}
	if err := c.origin.Ledger().WaitBytes(ctx, path, size/2); err != nil {
		t.Error(err)
	}
	open = c.nodes[0].Flights() + c.nodes[1].Flights() + c.nodes[2].Flights()
	held = c.nodes[0].heldBytes(c.ref(path).ID(), size)
	fault()
	reading.Wait()
	return c.origin.Ledger().Bytes(path) - size, held, open
}

// A killed owner costs what it held and had in flight, and fails no reader
// elsewhere.
func TestOwnerKilledInTheMiddle(t *testing.T) {
	c := newCluster(t, 3)
	extra, held, open := survivors(t, c, func() {
		c.kill(0)
		c.see(0, ring.Failed)
	})
	if most := held + int64(open)*storage.ChunkSize; extra > most {
		t.Errorf("the origin sent %d bytes more than the object has, want at most %d", extra, most)
	}
}

// An owner that stands still costs at most its flights once more, and when it
// goes on nothing.
func TestOwnerFrozenInTheMiddle(t *testing.T) {
	c := newCluster(t, 3, func(_ *node, cfg *Config) { cfg.Silence, cfg.BreakerOpen = 500*time.Millisecond, time.Second })
	extra, held, open := survivors(t, c, func() {
		c.nodes[0].wires.freeze()
		time.AfterFunc(3*time.Second, c.nodes[0].wires.thaw)
	})
	if most := held + int64(open)*storage.ChunkSize; extra > most {
		t.Errorf("the origin sent %d bytes more than the object has, want at most %d", extra, most)
	}
}

// A node that comes back with its disk asks the origin for nothing that any
// node has.
func TestRestartCostsNothing(t *testing.T) {
	c := newCluster(t, 3, func(_ *node, cfg *Config) { cfg.BreakerOpen = 50 * time.Millisecond })
	const size = 20 << 20
	path := c.path(0)
	c.origin.Add(faultorigin.Object{Path: path, Size: size})
	ctx := within(t, 60*time.Second)
	req := c.request(path, storage.Span{End: math.MaxInt64})
	req.Whole = true
	if _, err := c.nodes[0].read(ctx, req, "1"); err != nil {
		t.Fatal(err)
	}
	c.kill(0)
	n := c.nodes[0]
	n.listen(n.addr)
	n.start()
	for i := range 3 {
		if _, err := c.nodes[i].read(ctx, req, "1"); err != nil {
			t.Errorf("node %d: %v", i, err)
		}
	}
	if n := c.origin.Ledger().MaxTimes(path); n != 1 {
		t.Errorf("a byte was fetched %d times", n)
	}
}
