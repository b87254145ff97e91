package peer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/faultorigin"
)

// Nobody gets more places than there are, and peers that wait take turns however
// many calls each has.
func TestPacerTakesTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(2, 3)
		took := make(chan string, 100)
		start := func(id string) {
			go func() {
				if p.take(t.Context(), id) == nil {
					took <- id
				}
			}()
			synctest.Wait() // they queue in order
		}
		for _, id := range []string{"a", "a", "a", "a", "a", "b", "b", "c"} {
			start(id)
		}
		var order []string
		for len(took) > 0 {
			order = append(order, <-took)
		}
		if fmt.Sprint(order) != "[a a b]" {
			t.Fatalf("at once: %v; want two of a, one of b", order)
		}
		for _, step := range []struct{ give, next string }{
			{"a", "a"}, // the first in turn
			{"a", "b"}, {"b", "c"}, {"b", "a"}, {"a", "a"},
		} {
			p.give(step.give)
			synctest.Wait()
			select {
			case got := <-took:
				if got != step.next {
					t.Fatalf("%s gave its place to %s, want %s", step.give, got, step.next)
				}
			default:
				t.Fatalf("nobody got the place of %s", step.give)
			}
		}
		for _, id := range []string{"a", "a", "c"} {
			p.give(id)
		}
		if !p.idle() {
			t.Error("something is left")
		}
	})
}

// A call that ends while it waits leaves nothing behind, and what it was granted
// at that moment goes to the next.
func TestPacerForgetsWhoLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(1, 1)
		if err := p.take(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		gone := errors.New("gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		ended := make(chan error, 3)
		for _, id := range []string{"a", "b", "b"} {
			go func() {
				err := p.take(ctx, id)
				if err == nil {
					p.give(id)
				}
				ended <- err
			}()
		}
		synctest.Wait()
		cancel(gone)
		p.give("a") // either it is granted or it leaves
		for range 3 {
			if err := <-ended; err != nil && !errors.Is(err, gone) {
				t.Errorf("a call ended with %v", err)
			}
		}
		synctest.Wait()
		if !p.idle() {
			t.Errorf("%d places out, peers %v", p.out, p.peers)
		}
	})
}

// However fills end, no place stays taken.
func TestPlacesComeBack(t *testing.T) {
	c := newCluster(t, 3)
	const size = 20 << 20
	path := c.path(1)
	c.origin.Add(faultorigin.Object{Path: path, Size: size})
	ctx := within(t, time.Minute)
	req := c.request(path, storage.Span{End: math.MaxInt64})
	req.Whole = true
	if _, err := c.nodes[1].read(ctx, req, "1"); err != nil {
		t.Fatal(err)
	}
	broken, cut := make(chan error, 1), c.nodes[0]
	go func() {
		_, err := cut.read(ctx, req, "1")
		broken <- err
	}()
	eventually(t, "bytes flow", func() bool {
		return testutil.ToFloat64(c.nodes[1].metrics.served.WithLabelValues("fill")) > 1<<20
	})
	cut.wires.cut()
	<-broken // however it ends
	if _, err := c.nodes[2].read(ctx, req, "1"); err != nil {
		t.Error(err)
	}
	for _, n := range c.nodes {
		eventually(t, "no place of "+n.id+" is taken", n.pacer.idle)
	}
}
