package peer

import (
	"testing"
	"time"

	"github.com/mccd/mccd/ring"
	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/disk"
	"github.com/mccd/mccd/test/faultorigin"
)

// keyOf returns the key of the first chunk of path's present version at n.
func (n *node) keyOf(path string) storage.ChunkKey {
	n.c.t.Helper()
	o := n.cache.Peek(n.c.ref(path).ID())
	if o == nil {
		n.c.t.Fatalf("%s has no record of %s", n.id, path)
	}
	return o.Key(0)
}

// worthOf returns what n's copy of the chunk is worth.
func (n *node) worthOf(key storage.ChunkKey) disk.Worth {
	by, _ := n.store.Confirmed(key)
	return n.Worth(key, by)
}

// A copy that the owner gave is borrowed; the owner's is not. When another acts
// for the owner the copy counts until that one has confirmed it.
func TestWorth(t *testing.T) {
	c := newCluster(t, 3)
	ctx := within(t, 60*time.Second)
	path := c.path(0, 1, 2)
	c.origin.Add(faultorigin.Object{Path: path, Size: 300_000})
	if _, err := c.nodes[2].read(ctx, c.request(path, storage.Span{End: 300_000}), "1"); err != nil {
		t.Fatal(err)
	}
	key := c.nodes[2].keyOf(path)
	eventually(t, "the copy is confirmed by the owner's answer", func() bool { return c.nodes[2].worthOf(key) == disk.WorthBorrowed })
	if got := c.nodes[0].worthOf(key); got != disk.WorthOwned {
		t.Errorf("at its owner the chunk is %v", got)
	}
	c.kill(0)
	c.see(0, ring.Failed)
	if got := c.nodes[2].worthOf(key); got != disk.WorthOwned {
		t.Errorf("the last copy is %v", got)
	}
	if n, left := c.nodes[2].ConfirmCopies(ctx); n != 0 || left != 1 {
		t.Errorf("%d copies are confirmed by a node that does not hold them, %d left", n, left)
	}
	if got := c.nodes[2].worthOf(key); got != disk.WorthOwned {
		t.Errorf("the last copy is %v", got)
	}
	if _, err := c.nodes[1].read(ctx, c.request(path, storage.Span{End: 300_000}), "1"); err != nil {
		t.Fatal(err)
	}
	if n, left := c.nodes[2].ConfirmCopies(ctx); n != 1 || left != 0 {
		t.Errorf("%d copies are confirmed, %d left", n, left)
	}
	if got := c.nodes[2].worthOf(key); got != disk.WorthBorrowed {
		t.Errorf("a copy that the acting owner holds too is %v", got)
	}
	if n, left := c.nodes[2].ConfirmCopies(ctx); n != 0 || left != 0 {
		t.Errorf("what is confirmed is asked again: %d, %d", n, left)
	}
}

// What an owner does not hold in full is not confirmed.
func TestPartsAreNotConfirmed(t *testing.T) {
	c := newCluster(t, 2)
	ctx := within(t, 60*time.Second)
	path := c.path(0, 1)
	c.origin.Add(faultorigin.Object{Path: path, Size: 4 << 20})
	if _, err := c.nodes[1].read(ctx, c.request(path, piece(0)), "1"); err != nil {
		t.Fatal(err)
	}
	key := c.nodes[1].keyOf(path)
	eventually(t, "the copy is confirmed", func() bool { return c.nodes[1].worthOf(key) == disk.WorthBorrowed })
	chunk, err := c.nodes[1].store.Lookup(key)
	if err != nil {
		t.Fatal(err)
	}
	defer chunk.Release()
	w, err := chunk.BeginWrite()
	if err != nil {
		t.Fatal(err)
	}
	err = w.WriteBlock(60, [][]byte{make([]byte, storage.BlockSize)})
	w.End()
	if err != nil {
		t.Fatal(err)
	}
	c.nodes[1].untold(key) // as a flight that acts as owner does at its end
	if n, left := c.nodes[1].ConfirmCopies(ctx); n != 0 || left != 1 {
		t.Errorf("%d copies are confirmed, %d left", n, left)
	}
	if got := c.nodes[1].worthOf(key); got != disk.WorthOwned {
		t.Errorf("a copy with bytes that the owner does not hold is %v", got)
	}
}

func TestWorthOfOldAndPinned(t *testing.T) {
	var pinned storage.ObjectID
	c := newCluster(t, 2, func(_ *node, cfg *Config) {
		cfg.Pinned = func(id storage.ObjectID) bool { return id == pinned }
	})
	path := c.path(0, 1)
	c.origin.Add(faultorigin.Object{Path: path, Size: 300_000})
	if _, err := c.nodes[0].read(within(t, 60*time.Second), c.request(path, storage.Span{End: 300_000}), "1"); err != nil {
		t.Fatal(err)
	}
	key := c.nodes[0].keyOf(path)
	old := key
	old.Version[0] ^= 1
	if got := c.nodes[0].worthOf(old); got != disk.WorthOld {
		t.Errorf("a version that is superseded is %v", got)
	}
	pinned = key.Object
	if got := c.nodes[0].worthOf(key); got != disk.WorthPinned {
		t.Errorf("a pinned object's chunk is %v", got)
	}
}

// The note tells lives of a node apart.
func TestConfirmedBy(t *testing.T) {
	seen := map[uint32]string{}
	for _, n := range []ring.Node{{ID: "a"}, {ID: "a", Incarnation: 1}, {ID: "a", Incarnation: 1 << 40}, {ID: "b"}, {ID: ""}} {
		by := confirmedBy(&n)
		if by == 0 || seen[by] != "" {
			t.Errorf("%v is noted as %d, as %s", n, by, seen[by])
		}
		seen[by] = n.ID + "."
	}
}
