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
					if turn := e.take(addr, e.part); turn != nil && e.wait(ctx, turn, nil) != nil {
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

// TestEgressStarvesNobody: with as many responses as are let in, most of them
// behind one address, each gets more than what clients give a cache up for, and
// waits for no turn as long as they would.
func TestEgressStarvesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := testEgress(1 << 20)
		ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
		defer cancel()
		var all sync.WaitGroup
		n := 0
		for ; e.enter(); n++ {
			addr := netip.MustParseAddr("192.0.2.1")
			if n < 40 {
				addr = netip.AddrFrom4([4]byte{198, 51, 100, byte(n)})
			}
			all.Go(func() {
				var sent int64
				last := time.Now()
				for {
					part := e.most()
					turn := e.take(addr, part)
					if turn != nil && e.wait(ctx, turn, nil) != nil {
						break
					}
					if gap := time.Since(last); gap > 5*time.Second {
						t.Errorf("%s waited %s for a turn", addr, gap)
						return
					}
					sent, last = sent+part, time.Now()
				}
				if sent < 40*4000 {
					t.Errorf("%s got %d bytes in 40 s", addr, sent)
				}
			})
		}
		all.Wait()
		if n != 128 || len(e.clients) != 0 || len(e.order) != 0 {
			t.Errorf("%d were let in, %d clients left", n, len(e.clients))
		}
		for range n {
			e.exit()
		}
		if !e.enter() {
			t.Error("nobody is let in after all have left")
		}
	})
}

// TestEgressIsFull: a response more than the bound is enough for is refused at
// once, and not for good.
func TestEgressIsFull(t *testing.T) {
	gate := make(chan struct{})
	n := startNode(t, 1000, func(c *Config) { c.Egress = leastPace })
	n.source.steps = []step{{gate: gate}}
	c := dial(t, n)
	ask(t, c, "GET /a HTTP/1.1\r\nHost: "+doHost+"\r\n\r\n")
	<-n.source.opened
	if a := n.get(t, doHost, "/b"); a.status != 503 {
		t.Errorf("status %d", a.status)
	}
	close(gate)
	if a := readAnswer(newReader(c), "GET"); a.status != 200 || len(a.body) != 1000 {
		t.Errorf("%+v", a)
	}
	a := n.get(t, doHost, "/b")
	for range 2000 { // the first response ends a moment after its last byte
		if a.status == 200 {
			break
		}
		a = n.get(t, doHost, "/b")
	}
	if a.status != 200 {
		t.Errorf("status %d when nobody is served", a.status)
	}
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
		if err := e.wait(t.Context(), turn, func() { rested++ }); err != nil || rested != 1 {
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
