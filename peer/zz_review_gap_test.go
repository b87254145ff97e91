package peer

import (
	"math"
	"sync"
	"testing"
	"time"

	"github.com/mccd/mccd/ring"
	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/faultorigin"
)

func TestGap(t *testing.T) {
	for _, what := range []string{"none", "kill", "freeze", "home-freeze"} {
		c := newCluster(t, 4, func(_ *node, cfg *Config) {
			cfg.Silence, cfg.BreakerOpen = 300*time.Millisecond, 2*time.Second
		})
		const size = 40 << 20
		path := ""
		for k := 0; ; k++ {
			path = "/x/" + time.Duration(k).String()
			if c.placed(path, 0, 0) && c.placed(path, 1, 0) && c.placed(path, 2, 0) && c.placed(path, 3, 0) {
				break
			}
		}
		c.origin.Add(faultorigin.Object{Path: path, Size: size})
		c.origin.Script(path, faultorigin.Behaviour{Rate: 4 << 20})
		ctx := within(t, 60*time.Second)
		var wg sync.WaitGroup
		gaps := make([]time.Duration, 6)
		for i := range 6 {
			wg.Go(func() {
				req := c.request(path, storage.Span{End: math.MaxInt64})
				req.Whole = true
				n := c.nodes[1+i%3]
				content, err := n.Open(ctx, req)
				if err != nil {
					t.Error(err)
					return
				}
				defer content.Close()
				span := storage.Span{End: size}
				last := time.Now()
				for span.Off < span.End {
					run, err := content.Next(ctx, span)
					if err != nil {
						t.Errorf("%s: at %d: %v", what, span.Off, err)
						return
					}
					if d := time.Since(last); d > 60*time.Millisecond {
						t.Logf("%s reader %d: gap %s at %d (piece %.2f) run %d %v", what, i, d, span.Off, float64(span.Off)/(1<<20), run.Len, run.From)
					}
					gaps[i] = max(gaps[i], time.Since(last))
					last = time.Now()
					span.Off += run.Len
				}
			})
		}
		_ = c.origin.Ledger().WaitBytes(ctx, path, size/3)
		switch what {
		case "kill":
			c.kill(0)
		case "freeze":
			c.nodes[0].wires.freeze()
			time.AfterFunc(2500*time.Millisecond, c.nodes[0].wires.thaw)
		case "home-freeze":
			c.see(0, ring.Alive)
		}
		wg.Wait()
		t.Logf("%s: gaps %v, extra %d", what, gaps, c.origin.Ledger().Bytes(path)-size)
	}
}

// A new object while its home, or the owner of its first chunk, stands still.
func TestColdWhileHomeFrozen(t *testing.T) {
	c := newCluster(t, 4, func(_ *node, cfg *Config) {
		cfg.Silence, cfg.BreakerOpen = 300*time.Millisecond, 2*time.Second
	})
	path := c.path(0)
	c.origin.Add(faultorigin.Object{Path: path, Size: 20 << 20})
	c.nodes[0].wires.freeze()
	ctx := within(t, 60*time.Second)
	err := herd(9, func(i int) error {
		began := time.Now()
		_, err := c.nodes[1+i%3].read(ctx, c.request(path, storage.Span{Off: int64(i%2) * (9 << 20), End: int64(i%2)*(9<<20) + 2<<20}), "1")
		t.Logf("%d: %v", i, time.Since(began))
		return err
	})
	if err != nil {
		t.Error(err)
	}
	t.Logf("times %d, %d bytes", c.origin.Ledger().MaxTimes(path), c.origin.Ledger().Bytes(path))
}

// The lease holder stands still, then goes on.
func TestLeaseHolderFrozen(t *testing.T) {
	c := newCluster(t, 4, func(_ *node, cfg *Config) {
		cfg.Silence, cfg.BreakerOpen = 300*time.Millisecond, 2*time.Second
	})
	path := ""
	for k := 0; ; k++ {
		path = "/x/" + string(rune('a'+k%26)) + time.Duration(k).String()
		if c.placed(path, 0, 0) && c.placed(path, 1, 1) && c.placed(path, 2, 2) {
			break
		}
	}
	c.origin.Add(faultorigin.Object{Path: path, Size: 40 << 20})
	gate := faultorigin.NewGate()
	c.origin.Script(path, faultorigin.Behaviour{Requests: []int{1}, Gate: gate})
	ctx := within(t, 60*time.Second)
	at := func(chunk int64) storage.Request {
		return c.request(path, storage.Span{Off: chunk * storage.ChunkSize, End: chunk*storage.ChunkSize + storage.PieceSize})
	}
	ends := make(chan error, 3)
	go func() { _, err := c.nodes[1].read(ctx, at(1), "1"); ends <- err }() // owner of chunk 1 takes the lease
	if err := c.origin.Ledger().WaitRequests(ctx, path, 1); err != nil {
		t.Fatal(err)
	}
	go func() { _, err := c.nodes[3].read(ctx, at(2), "1"); ends <- err }()
	c.nodes[1].wires.freeze()
	began := time.Now()
	if err := <-ends; err != nil {
		t.Error(err)
	}
	t.Logf("waiter after %s", time.Since(began))
	gate.Open()
	c.nodes[1].wires.thaw()
	if err := <-ends; err != nil {
		t.Error(err)
	}
	t.Logf("times %d, %d requests", c.origin.Ledger().MaxTimes(path), len(c.origin.Ledger().Requests(path)))
}
