package peer

import (
	"context"
	"math"
	"sync"
	"testing"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/faultorigin"
)

// A piece in the middle of what another's flight brings late is asked for at
// once, at the owner and through it, and nothing is asked for twice.
func TestPieceOvertakesFlight(t *testing.T) {
	for name, at := range map[string]int{"at the owner": 0, "at a requester": 1} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, 2)
			const size = 8 << 20
			path := c.path(0)
			c.origin.Add(faultorigin.Object{Path: path, Size: size})
			hold := faultorigin.NewGate()
			defer hold.Open()
			// The second request is the first flight's: it comes to a halt.
			c.origin.Script(path, faultorigin.Behaviour{Requests: []int{2}, BodyGate: hold, HoldAfter: 100 << 10})
			ctx := within(t, time30)
			n := c.nodes[at]
			if _, err := n.read(ctx, c.request(path, piece(0)), "1"); err != nil {
				t.Fatal(err)
			}
			n.takeForSlow()
			c.nodes[0].takeForSlow()
			var first sync.WaitGroup
			first.Go(func() {
				if _, err := n.read(ctx, c.request(path, storage.Span{Off: 1 << 20, End: 5 << 20}), "1"); err != nil {
					t.Error(err)
				}
			})
			if err := c.origin.Ledger().WaitRequests(ctx, path, 2); err != nil {
				t.Fatal(err)
			}
			if _, err := n.read(ctx, c.request(path, piece(4)), "1"); err != nil {
				t.Error(err)
			}
			hold.Open()
			first.Wait()
			if l := c.origin.Ledger(); l.MaxTimes(path) != 1 || l.Bytes(path) != 5<<20 {
				t.Errorf("the origin sent %d bytes, one %d times", l.Bytes(path), l.MaxTimes(path))
			}
		})
	}
}

// takeForSlow lets the node know the origin for a slow one, at any machine.
func (n *node) takeForSlow() {
	n.c.t.Helper()
	eventually(n.c.t, "the flights that measure it end", func() bool { return n.Flights() == 0 })
	n.paces.mu.Lock()
	defer n.paces.mu.Unlock()
	n.paces.perSec[testHost] = 0
}

// What nobody waits for any more is fetched no further than the request that
// was sent, wherever the client was.
func TestFlightEndsWithoutFollowers(t *testing.T) {
	for name, at := range map[string]int{"at the owner": 0, "at a requester": 1} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, 2)
			const size = 8 << 20
			path := c.path(0)
			c.origin.Add(faultorigin.Object{Path: path, Size: size})
			hold := faultorigin.NewGate()
			defer hold.Open()
			c.origin.Script(path, faultorigin.Behaviour{Requests: []int{2}, BodyGate: hold, HoldAfter: 100 << 10})
			n := c.nodes[at]
			if _, err := n.read(within(t, time30), c.request(path, piece(0)), "1"); err != nil {
				t.Fatal(err)
			}
			c.nodes[0].takeForSlow()
			ctx, cancel := context.WithCancel(within(t, time30))
			var reading sync.WaitGroup
			reading.Go(func() {
				_, _ = n.read(ctx, c.request(path, storage.Span{Off: 1 << 20, End: 5 << 20}), "1")
			})
			if err := c.origin.Ledger().WaitRequests(ctx, path, 2); err != nil {
				t.Fatal(err)
			}
			cancel()
			reading.Wait()
			eventually(t, "the flight is abandoned", func() bool {
				f := c.nodes[0].flights
				f.mu.Lock()
				defer f.mu.Unlock()
				for _, list := range f.byKey {
					for _, fl := range list {
						if fl.asOwner && !fl.abandoned() {
							return false
						}
					}
				}
				return true
			})
			hold.Open()
			for _, n := range c.nodes {
				eventually(t, n.id+" is at rest", func() bool { return n.Flights() == 0 })
			}
			if n := c.origin.Ledger().Bytes(path); n != 2<<20 {
				t.Errorf("the origin sent %d bytes, want the two pieces that were asked for", n)
			}
			// Who comes back gets the rest, each byte once.
			if _, err := n.read(within(t, time30), c.request(path, storage.Span{End: size}), "1"); err != nil {
				t.Error(err)
			}
			if l := c.origin.Ledger(); l.MaxTimes(path) != 1 || l.Bytes(path) != size {
				t.Errorf("the origin sent %d bytes, one %d times", l.Bytes(path), l.MaxTimes(path))
			}
		})
	}
}

// Flights of one origin leave room for those of others.
func TestFlightsOfOneOriginAreBounded(t *testing.T) {
	c := newCluster(t, 1, func(_ *node, cfg *Config) { cfg.Flights, cfg.FlightsPerOrigin = 8, 2 })
	n := c.nodes[0]
	path := c.path(0)
	c.origin.Add(faultorigin.Object{Path: path, Size: 64 << 20})
	ctx := within(t, time30)
	if _, err := n.read(ctx, c.request(path, piece(0)), "1"); err != nil {
		t.Fatal(err)
	}
	hold := faultorigin.NewGate()
	defer hold.Open()
	c.origin.Script(path, faultorigin.Behaviour{Gate: hold})
	o := n.cache.Record(c.ref(path).ID())
	j := &job{o: o, ref: c.ref(path), rule: c.rule}
	other := *o
	other.Host = "other.example.com"
	var readers []*reader
	want := func(j *job, chunk int64) error {
		r := &reader{f: n.Filler, j: j}
		readers = append(readers, r)
		_, err := r.want(ctx, piece(8*chunk), false)
		return err
	}
	for chunk := int64(1); chunk <= 2; chunk++ {
		if err := want(j, chunk); err != nil {
			t.Error(err)
		}
	}
	if err := want(j, 3); !isBusy(err) {
		t.Errorf("one more flight than the origin may have: %v", err)
	}
	if err := want(&job{o: &other, ref: j.ref, rule: c.rule}, 4); err != nil {
		t.Errorf("a flight of another origin: %v", err)
	}
	hold.Open()
	for _, r := range readers {
		r.end()
	}
	eventually(t, "all flights end", func() bool { return n.Flights() == 0 })
	if len(n.flights.hosts) != 0 {
		t.Errorf("%d origins are counted", len(n.flights.hosts))
	}
}

// A read to the end that is given up has been read ahead by no more than it has
// consumed.
func TestWholeReadAheadIsBounded(t *testing.T) {
	c := newCluster(t, 1)
	n := c.nodes[0]
	path := c.path(0)
	c.origin.Add(faultorigin.Object{Path: path, Size: 256 << 20})
	ctx := within(t, time30)
	req := c.request(path, storage.Span{End: math.MaxInt64})
	req.Whole = true
	content, err := n.Open(ctx, req)
	if err != nil {
		t.Fatal(err)
	}
	for _, taken := range []int64{1 << 20, 9 << 20, 70 << 20} {
		if _, err := n.readFrom(ctx, content, storage.Span{Off: content.given, End: taken}, "1"); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the flights end", func() bool { return n.Flights() == 0 })
		if most := taken + min(taken, n.Filler.cfg.ReadAhead) + storage.PieceSize; c.origin.Ledger().Bytes(path) > most {
			t.Errorf("of %d bytes taken the origin sent %d, want at most %d", taken, c.origin.Ledger().Bytes(path), most)
		}
	}
	content.Close()
}
