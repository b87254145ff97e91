package peer

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/disk"
	"github.com/mccd/mccd/test/faultorigin"
)

// dropping is a store out of which a chunk goes when it was looked up, once it is
// armed: a purge comes at that moment.
type dropping struct {
	*disk.Store
	t     *testing.T
	armed atomic.Bool
}

func (d *dropping) Lookup(key storage.ChunkKey) (*disk.Chunk, error) {
	c, err := d.Store.Lookup(key)
	if d.armed.Load() {
		if err := d.DropChunk(d.t.Context(), key, nil); err != nil {
			d.t.Error(err)
		}
	}
	return c, err
}

// A repair takes what is missing from a node that holds it and nothing from the
// origin; what was purged meanwhile does not come back by it.
func TestRepair(t *testing.T) {
	var store *dropping
	c := newCluster(t, 2, func(n *node, cfg *Config) {
		if n.i == 0 {
			store = &dropping{Store: n.store, t: t}
			cfg.Store = store
		}
	})
	path := c.pathOf(1)
	c.origin.Add(faultorigin.Object{Path: path, Size: 4 << 20})
	ctx := within(t, time.Minute)
	owner, borrower := c.nodes[1], c.nodes[0]
	if _, err := owner.read(ctx, c.request(path, storage.Span{End: 4 << 20}), "1"); err != nil {
		t.Fatal(err)
	}
	if _, err := borrower.read(ctx, c.request(path, storage.Span{End: storage.BlockSize}), "1"); err != nil {
		t.Fatal(err)
	}
	asked := len(c.origin.Ledger().Entries())
	var key storage.ChunkKey
	for key = range store.Keys {
		break
	}
	var missing disk.Bitmap
	missing[0] = 1 << 60
	if err := borrower.repair(ctx, key, missing); err != nil {
		t.Fatal(err)
	}
	if have, ok := store.Presence(key); !ok || !have.Has(60) {
		t.Errorf("not repaired: %b", have)
	}
	missing[0] = 1 << 61
	store.armed.Store(true)
	_ = borrower.repair(ctx, key, missing)
	store.armed.Store(false)
	if c, err := store.Lookup(key); !errors.Is(err, disk.ErrNotHeld) {
		t.Errorf("what was purged is back: %v", err)
		c.Release()
	}
	if got := len(c.origin.Ledger().Entries()); got != asked {
		t.Errorf("the origin was asked %d times", got-asked)
	}
}
