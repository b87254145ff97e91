package gateway

import (
	"context"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func testEgress(rate int64) *egress {
	return newEgress(rate, prometheus.NewCounter(prometheus.CounterOpts{Name: "x"}))
}

// TestEgressIsFair: a client with many connections gets as much as one with one,
// and together they get the bound.
func TestEgressIsFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rate = 10 << 20
		e := testEgress(rate)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		var mu sync.Mutex
		sent := map[netip.Addr]int64{}
		var all sync.WaitGroup
		stream := func(client string) {
			addr := netip.MustParseAddr(client)
			all.Go(func() {
				for {
					if turn := e.take(addr, e.part); turn != nil && e.wait(ctx, addr, turn, nil) != nil {
						return
					}
					mu.Lock()
					sent[addr] += e.part
					mu.Unlock()
				}
			})
		}
		for range 16 {
			stream("192.0.2.1")
		}
		stream("192.0.2.2")
		stream("192.0.2.3")
		all.Wait()
		var sum int64
		for addr, n := range sent {
			sum += n
			if n < 3*rate || n > 4*rate {
				t.Errorf("%s got %d MiB of about %d", addr, n>>20, 10*rate/3>>20)
			}
		}
		if sum > 11*rate || sum < 9*rate {
			t.Errorf("%d MiB in 10 s at %d MiB/s", sum>>20, rate>>20)
		}
		if len(e.clients) != 0 || len(e.order) != 0 {
			t.Errorf("%d clients left", len(e.clients))
		}
	})
}

// TestEgressRests: who waits for long lets go of what it holds.
func TestEgressRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := testEgress(1 << 20)
		e.take(netip.Addr{}, 5<<20)
		rested := 0
		turn := e.take(netip.Addr{}, 1)
		if turn == nil {
			t.Fatal("nobody waits")
		}
		if err := e.wait(t.Context(), netip.Addr{}, turn, func() { rested++ }); err != nil || rested != 1 {
			t.Errorf("%v, rested %d times", err, rested)
		}
	})
}

func TestNoEgressBound(t *testing.T) {
	if newEgress(0, nil) != nil {
		t.Error("a bound of 0 is one")
	}
}

// TestEgressOnTheWire: bodies are whole under a bound, by sendfile, in several
// parts, and as bytes that come early.
func TestEgressOnTheWire(t *testing.T) {
	n := startNode(t, 300_000, func(c *Config) { c.Egress = 4 << 20 })
	for _, every := range []step{{}, {max: 70_000}, {max: 50_000, early: true}} {
		n.source.mu.Lock()
		n.source.every = every
		n.source.mu.Unlock()
		if a := n.get(t, doHost, "/f"); a.status != 200 || digest(a.body) != digest(n.source.data) {
			t.Errorf("%+v: %d, %d bytes, %v", every, a.status, len(a.body), a.err)
		}
		a := n.get(t, httpHost, "/f", "Range: bytes=5-99999,200000-")
		if parts, err := partsOf(a.header, a.body); err != nil || len(parts) != 2 || digest(parts[1].body) != digest(n.source.data[200_000:]) {
			t.Errorf("%+v: %d parts, %v", every, len(parts), err)
		}
	}
	if n.metric(t, "mccd_gateway_egress_waits_total") == 0 {
		t.Error("nobody waited")
	}
}
