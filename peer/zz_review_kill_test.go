package peer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
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
	path := ""
	for k := 0; ; k++ {
		path = fmt.Sprintf("/%d", k)
		if c.placed(path, 0, 0) && c.placed(path, 1, 0) && c.placed(path, 2, 0) && c.placed(path, 3, 0) {
			break
		}
	}
	c.origin.Add(faultorigin.Object{Path: path, Size: size})
	c.origin.Script(path, faultorigin.Behaviour{Rate: 4 << 20})
	ctx := within(t, 60*time.Second)
	var reading sync.WaitGroup
	for i := range 6 {
		reading.Go(func() {
			req := c.request(path, storage.Span{End: math.MaxInt64})
			req.Whole = true
			began := time.Now()
			n, err := c.nodes[1+i%2].read(ctx, req, "1")
			if err != nil || n != size {
				t.Errorf("reader %d after %s: %d bytes, %v", i, time.Since(began), n, err)
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
	t.Logf("extra %d, held %d, flights %d", extra, held, open)
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
	t.Logf("extra %d, held %d, flights %d", extra, held, open)
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

// A version that changes in the middle of a fill is never mixed.
func TestVersionChangesInTheMiddle(t *testing.T) {
	c := newCluster(t, 3)
	const size = 40 << 20
	path := c.path(0)
	c.origin.Add(faultorigin.Object{Path: path, Size: size})
	c.origin.Script(path, faultorigin.Behaviour{Rate: 8 << 20})
	ctx := within(t, 60*time.Second)
	var reading sync.WaitGroup
	for i := range 6 {
		reading.Go(func() {
			req := c.request(path, storage.Span{End: math.MaxInt64})
			req.Whole = true
			n, err := c.nodes[i%3].read(ctx, req, "1")
			if errors.Is(err, errWrong) || err == nil && n != size || err != nil && !errors.Is(err, storage.ErrVersionGone) {
				t.Errorf("reader %d: %d bytes, %v", i, n, err)
			}
		})
	}
	if err := c.origin.Ledger().WaitBytes(ctx, path, size/4); err != nil {
		t.Error(err)
	}
	c.origin.SetVersion(path, "2")
	reading.Wait()
	err := herd(6, func(i int) error {
		req := c.request(path, storage.Span{End: math.MaxInt64})
		req.Whole = true
		_, err := c.nodes[i%3].read(ctx, req, "2")
		return err
	})
	if err != nil {
		t.Errorf("after the change: %v", err)
	}
	if n := c.origin.Ledger().MaxTimes(path); n > 1 {
		t.Errorf("a byte of a version was fetched %d times", n)
	}
}

// A slow network is slowness, not silence.
func TestSlowNetworkIsNotSilence(t *testing.T) {
	c := newCluster(t, 3, func(_ *node, cfg *Config) { cfg.Silence = 500 * time.Millisecond })
	path := c.path(1)
	c.origin.Add(faultorigin.Object{Path: path, Size: 3 << 20})
	ctx := within(t, 30*time.Second)
	if _, err := c.nodes[1].read(ctx, c.request(path, storage.Span{End: 3 << 20}), "1"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.nodes[0].read(ctx, c.request(path, piece(0)), "1"); err != nil {
		t.Fatal(err)
	}
	c.nodes[0].wires.pace.Store(int64(100 * time.Millisecond)) // 160 KiB/s
	if _, err := c.nodes[0].read(ctx, c.request(path, piece(1)), "1"); err != nil {
		t.Fatal(err)
	}
	owner, _ := c.nodes[0].View().ByID("n1")
	if !c.nodes[0].links.usable(owner) {
		t.Error("the owner is taken for silent")
	}
}

// What the home's record says in the face of a gone object.
func TestGoneObject(t *testing.T) {
	c := newCluster(t, 3)
	path := c.path(0)
	c.origin.Add(faultorigin.Object{Path: path, Size: 3 << 20})
	ctx := within(t, 30*time.Second)
	for i := range 3 {
		if _, err := c.nodes[i].read(ctx, c.request(path, piece(0)), "1"); err != nil {
			t.Fatal(err)
		}
	}
	c.origin.Remove(path)
	for k := range 4 {
		_, err := c.nodes[1].read(ctx, c.request(path, piece(2)), "1")
		var status *storage.StatusError
		if !errors.As(err, &status) || status.Code != http.StatusNotFound {
			t.Errorf("read %d: %v", k, err)
		}
		content, err := c.nodes[2].Open(ctx, c.request(path, piece(2)))
		t.Logf("open %d: %v", k, err)
		if err == nil {
			content.Close()
		}
	}
	t.Logf("%d requests", len(c.origin.Ledger().Requests(path)))
}

// Origins whose answers cannot be joined: filled once, right everywhere.
func TestOriginWithoutRangesOrValidators(t *testing.T) {
	for name, b := range map[string]faultorigin.Behaviour{
		"ignores range": {IgnoreRange: true}, "no validators": {NoValidators: true},
		"weak, ignores range": {WeakETag: true, NoValidators: true, IgnoreRange: true},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, 3)
			const size = 18<<20 + 77
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
			t.Logf("%d bytes of %d, %d requests", c.origin.Ledger().Bytes(path), size, len(c.origin.Ledger().Requests(path)))
			if c.origin.Ledger().Bytes(path) > size+2<<20 {
				t.Errorf("the origin sent %d bytes of %d", c.origin.Ledger().Bytes(path), size)
			}
		})
	}
}

// Pieces in random order from all nodes, each byte once.
func TestPiecesInAnyOrder(t *testing.T) {
	c := newCluster(t, 3)
	const size = 33<<20 + 4321
	path := c.path(2)
	c.origin.Add(faultorigin.Object{Path: path, Size: size})
	ctx := within(t, 60*time.Second)
	pieces := size/storage.PieceSize + 1
	err := herd(24, func(i int) error {
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

var _ = context.Canceled
