package peer

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/mccd/mccd/test/faultorigin"
)

// Requests that come while the node stops end, and nothing of them goes on.
func TestRequestsWhileClosing(t *testing.T) {
	for round := range 10 {
		c := newCluster(t, 2)
		var paths []string
		for k := range 20 {
			path := fmt.Sprintf("/%d/%d", round, k)
			c.origin.Add(faultorigin.Object{Path: path, Size: 1 << 20})
			paths = append(paths, path)
		}
		ctx := within(t, 30*time.Second)
		began := make(chan struct{}, 100)
		var wg sync.WaitGroup
		for _, path := range paths {
			wg.Go(func() {
				began <- struct{}{}
				_, err := c.nodes[0].read(ctx, c.request(path, piece(0)), "1")
				if errors.Is(err, errWrong) {
					t.Error(err)
				}
			})
		}
		for range 10 {
			<-began
		}
		_ = herd(2, func(i int) error { c.nodes[i].stop(); return nil })
		wg.Wait()
	}
}
