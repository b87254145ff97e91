package e2e_test

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/mccd/mccd/test/process"
)

// watch asks nodes for a sign of life all the time: what takes them long to
// answer is the machine, which lets them or the test stand still.
type watch struct {
	// took is the longest answer of each node, slow how many took longer than
	// others wait for a node.
	took []time.Duration
	slow []int
}

// begin watches nodes until the function is called that it returns.
func (w *watch) begin(b *bed, nodes []*process.Node) (end func()) {
	w.took, w.slow = make([]time.Duration, len(nodes)), make([]int, len(nodes))
	silence, err := time.ParseDuration(impatience)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.ctx)
	var all sync.WaitGroup
	for i, n := range nodes {
		all.Go(func() {
			transport := new(http.Transport)
			defer transport.CloseIdleConnections()
			for last := time.Now(); ctx.Err() == nil; last = time.Now() {
				pauseFor(ctx, 20*time.Millisecond)
				if req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.Ops+"/healthz", nil); err == nil {
					if resp, err := transport.RoundTrip(req); err == nil {
						_ = resp.Body.Close()
					}
				}
				took := time.Since(last)
				w.took[i] = max(w.took[i], took)
				if took > silence {
					w.slow[i]++
				}
			}
		})
	}
	return func() {
		cancel()
		all.Wait()
	}
}

// longest is for how long the nodes stood still one after the other, at most.
func (w *watch) longest() (sum time.Duration) {
	for _, took := range w.took {
		sum += took
	}
	return sum
}

// late is how often a node stood still for longer than others wait for it.
func (w *watch) late() (n int) {
	for _, slow := range w.slow {
		n += slow
	}
	return n
}
