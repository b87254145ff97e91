package peer

import (
	"testing"
	"time"

	"github.com/mccd/mccd/peer/holders"
	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/disk"
	"github.com/mccd/mccd/test/faultorigin"
)

// A holder that has less than was known of it is still asked for the rest.
func TestHolderThatHasLess(t *testing.T) {
	c := newCluster(t, 3)
	path := c.path(0)
	c.origin.Add(faultorigin.Object{Path: path, Size: 3 * storage.PieceSize})
	ctx := within(t, 30*time.Second)
	owner := c.nodes[0]
	eventually(t, "all have told", owner.Settled)
	content, err := c.nodes[1].Open(ctx, c.request(path, piece(0)))
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	if _, err := c.nodes[1].readFrom(ctx, content, piece(0), "1"); err != nil {
		t.Fatal(err)
	}
	key := content.Object().Key(0)
	eventually(t, "the owner knows of the copy", func() bool {
		found := owner.book.Find(key)
		return !found.Known["n1"].Empty()
	})
	owner.book.Learn("n1", holders.Held{Key: key, Have: blocksOf(disk.Bitmap{}, piece(1))})
	if err := owner.store.DropChunk(ctx, key, nil); err != nil {
		t.Fatal(err)
	}
	for _, i := range []int64{1, 0} {
		if _, err := owner.read(ctx, c.request(path, piece(i)), "1"); err != nil {
			t.Fatal(err)
		}
	}
	if n := c.origin.Ledger().MaxTimes(path); n != 1 {
		t.Errorf("a byte that a node holds was fetched %d times", n)
	}
}

// Who acts for the chunks of an object that another fills whole knows where they
// are.
func TestOwnersKnowWhoFilledWhole(t *testing.T) {
	c := newCluster(t, 3)
	path := c.pathOf(0, 1, 2)
	const size = 2*storage.ChunkSize + storage.PieceSize
	c.origin.Add(faultorigin.Object{Path: path, Size: size})
	c.origin.Script(path, faultorigin.Behaviour{IgnoreRange: true})
	ctx := within(t, 30*time.Second)
	content, err := c.nodes[0].Open(ctx, c.request(path, storage.Span{End: size}))
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	if _, err := c.nodes[0].readFrom(ctx, content, storage.Span{End: size}, "1"); err != nil {
		t.Fatal(err)
	}
	for i := range uint32(2) {
		eventually(t, "the owner knows who has its chunk", func() bool {
			found := c.nodes[1+i].book.Find(content.Object().Key(1 + i))
			return !found.Known["n0"].Empty()
		})
	}
}

// What comes while the news of a chunk are being told is told too.
func TestNewsWhileTelling(t *testing.T) {
	c := newCluster(t, 2)
	teller := c.nodes[1]
	eventually(t, "nothing else is told", func() bool { return teller.acquiring.begin(tellKey("n0")) })
	defer teller.acquiring.end(tellKey("n0"), true, false)
	o := storage.Object{ID: c.ref(c.path(0)).ID()}
	key := o.Key(0)
	teller.untold(key)
	news := teller.collect()["n0"]
	teller.untold(key) // more of it has come
	if !teller.announce("n0", news) {
		t.Fatal("it cannot be told")
	}
	again := teller.collect()["n0"]
	if again == nil || len(again.chunks) != 1 {
		t.Fatal("what came meanwhile is never told")
	}
	if !teller.announce("n0", again) || teller.collect() != nil {
		t.Error("what was told is told again")
	}
}

// Where nodes come and go all the time, nobody is asked for all that it holds all
// the time; who has not told is tried again at once after a change.
func TestRestBetweenInventories(t *testing.T) {
	a := newAcquiring()
	asked := 0
	for range 1000 {
		a.retry()
		a.prune([]holders.Want{{Node: "n1"}}, nil)
		if a.begin("n1") {
			asked++
			a.end("n1", true, true)
		}
	}
	if asked < 2 || asked > 100 {
		t.Errorf("asked %d times for 1000 changes", asked)
	}
	a.prune(nil, nil)
	if len(a.tries) != 1 {
		t.Error("that it has told is forgotten")
	}
	if !a.begin("n2") {
		t.Fatal("another node cannot be asked")
	}
	a.end("n2", false, true)
	if a.begin("n2") {
		t.Error("one that failed is asked again without a change")
	}
	if a.retry(); !a.begin("n2") {
		t.Error("one that failed is not asked after a change")
	}
}
