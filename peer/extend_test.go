package peer

import (
	"math"
	"testing"
	"time"

	"github.com/mccd/mccd/ring"
	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/faultorigin"
)

// A client that follows a slow origin is read ahead by the flight that it
// follows, not by flights beside it that would share the line.
func TestReadAheadTakesTurns(t *testing.T) {
	for name, at := range map[string]int{"at the owner": 0, "at a requester": 1} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, 2)
			const size = 4 << 20
			path := c.path(0)
			c.origin.Add(faultorigin.Object{Path: path, Size: size})
			gate := faultorigin.NewGate()
			defer gate.Open()
			c.origin.Script(path, faultorigin.Behaviour{Requests: []int{1}, BodyGate: gate, HoldAfter: 700 << 10})
			ctx := within(t, time30)
			n := c.nodes[at]
			req := c.request(path, storage.Span{End: math.MaxInt64})
			req.Whole = true
			content, err := n.Open(ctx, req)
			if err != nil {
				t.Fatal(err)
			}
			defer content.Close()
			// Over half of the first piece is taken: the second is wanted too.
			if _, err := n.readFrom(ctx, content, storage.Span{End: 640 << 10}, "1"); err != nil {
				t.Fatal(err)
			}
			if err := content.fillAhead(ctx, 640<<10); err != nil {
				t.Fatal(err)
			}
			if content.ahead != 2<<20 {
				t.Errorf("filled up to %d, want the second piece too", content.ahead)
			}
			if open := n.Flights(); open != 1 {
				t.Errorf("%d flights, want the one", open)
			}
			if l := c.origin.Ledger(); len(l.Requests(path)) != 1 {
				t.Errorf("%d requests while the first is on its way", len(l.Requests(path)))
			}
			gate.Open()
			if _, err := n.readFrom(ctx, content, storage.Span{Off: 640 << 10, End: size}, "1"); err != nil {
				t.Error(err)
			}
			if l := c.origin.Ledger(); l.MaxTimes(path) != 1 || l.Bytes(path) != size {
				t.Errorf("the origin sent %d bytes, one %d times", l.Bytes(path), l.MaxTimes(path))
			}
		})
	}
}

// A flight that was begun for another node is read ahead by what that node holds:
// it lacks what it asked for, not what comes after.
func TestReadAheadFromTheCaller(t *testing.T) {
	c := newCluster(t, 2)
	const size = 2 * storage.PieceSize
	path := c.path(0)
	c.origin.Add(faultorigin.Object{Path: path, Size: size})
	ctx := within(t, time30)
	if _, err := c.nodes[1].read(ctx, c.request(path, piece(1)), "1"); err != nil {
		t.Fatal(err)
	}
	c.nodes[0].stop()
	c.see(0, ring.Failed)
	c.nodes[0].dir = t.TempDir()
	c.nodes[0].again()
	c.see(0, ring.Alive)
	o := c.nodes[1].cache.Record(c.ref(path).ID())
	eventually(t, "the owner was told of what the other holds", func() bool {
		return !c.nodes[0].book.Find(o.Key(0)).Known["n1"].Empty()
	})
	c.origin.Ledger().Reset()
	gate := faultorigin.NewGate()
	defer gate.Open()
	c.origin.Script(path, faultorigin.Behaviour{BodyGate: gate, HoldAfter: 700 << 10})
	caller := make(chan error, 1)
	go func() {
		_, err := c.nodes[1].read(ctx, c.request(path, piece(0)), "1")
		caller <- err
	}()
	if err := c.origin.Ledger().WaitBytes(ctx, path, 640<<10); err != nil {
		t.Fatal(err)
	}
	n := c.nodes[0]
	req := c.request(path, storage.Span{End: math.MaxInt64})
	req.Whole = true
	content, err := n.Open(ctx, req)
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	if _, err := n.readFrom(ctx, content, storage.Span{End: 640 << 10}, "1"); err != nil {
		t.Fatal(err)
	}
	if err := content.fillAhead(ctx, 640<<10); err != nil {
		t.Fatal(err)
	}
	if open := n.Flights(); open != 1 {
		t.Errorf("%d flights, want the one", open)
	}
	gate.Open()
	if _, err := n.readFrom(ctx, content, storage.Span{Off: 640 << 10, End: size}, "1"); err != nil {
		t.Error(err)
	}
	if err := <-caller; err != nil {
		t.Error(err)
	}
	if got := c.origin.Ledger().Bytes(path); got != storage.PieceSize {
		t.Errorf("the origin sent %d bytes, want the piece that nobody held", got)
	}
}

// Who wants bytes now gets a flight of its own, and a flight that is over, or
// about to be, takes nothing more.
func TestFlightsGrow(t *testing.T) {
	c := newCluster(t, 1)
	n := c.nodes[0]
	path := c.path(0)
	c.origin.Add(faultorigin.Object{Path: path, Size: 8 << 20})
	ctx := within(t, time30)
	if _, err := n.read(ctx, c.request(path, piece(7)), "1"); err != nil {
		t.Fatal(err)
	}
	o := n.cache.Record(c.ref(path).ID())
	j := &job{o: o, ref: c.ref(path), rule: c.rule}
	chunk, err := n.Filler.cfg.Store.Create(ctx, o.Key(0), o.Version)
	if err != nil {
		t.Fatal(err)
	}
	defer chunk.Release()
	table := newFlights(10, 10)
	cover := func(i int64, ahead bool) (joined, started int) {
		a, b, err := table.cover(ctx, j, chunk, piece(i), true, ahead)
		if err != nil {
			t.Fatal(err)
		}
		return len(a), len(b)
	}
	steps := []struct {
		piece           int64
		ahead           bool
		joined, started int
	}{
		{0, true, 0, 1}, // there is nothing to grow
		{1, true, 1, 0},
		{1, true, 1, 0},  // it is promised already
		{2, false, 0, 1}, // somebody waits for it
		{4, true, 0, 1},  // it does not follow
		{3, true, 1, 0},
	}
	for i, s := range steps {
		if joined, started := cover(s.piece, s.ahead); joined != s.joined || started != s.started {
			t.Fatalf("step %d: %d joined and %d started, want %d and %d", i, joined, started, s.joined, s.started)
		}
	}
	first := table.byKey[o.Key(0)][0]
	if first.span != piece(0) {
		t.Errorf("the first turn is %v, want what it began with", first.span)
	}
	if !table.turn(first) || first.span.End != 2<<20 {
		t.Errorf("the second turn goes to %d", first.span.End)
	}
	if table.turn(first) {
		t.Error("a third turn of two")
	}
	if fl := table.extend(o.Key(0), storage.Span{Off: 2 << 20, End: 3 << 20}, true); fl == first {
		t.Error("a flight that has ended its last turn grew")
	}
}

// What is read ahead is what the client takes in a second.
func TestReadAheadByTime(t *testing.T) {
	c := &Content{begin: 1000}
	if got := c.soon(1000 + 5<<20); got != 5<<20 {
		t.Errorf("at the beginning %d", got)
	}
	c.since = time.Now().Add(-4 * time.Second)
	if got := c.soon(1000 + 8<<20); got > 2<<20 || got < 1<<20 {
		t.Errorf("8 MiB in some 4 s: %d, want 2 MiB", got)
	}
}
