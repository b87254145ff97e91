package peer

import (
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/mccd/mccd/storage/origin"
	"github.com/mccd/mccd/test/faultorigin"
)

// BenchmarkFirstByte times a cold miss up to its first block beside the origin's
// own, at the owner of all (0) and through another node (1).
func BenchmarkFirstByte(b *testing.B) {
	for _, at := range []int{0, 1} {
		b.Run([]string{"owner", "requester"}[at], func(b *testing.B) { benchFirst(b, at) })
	}
}

func benchFirst(b *testing.B, at int) {
	c := newCluster(b, 2)
	cdn, err := origin.New(origin.Config{})
	if err != nil {
		b.Fatal(err)
	}
	defer cdn.Close()
	var own, ours []time.Duration
	for i := 0; b.Loop(); i++ {
		p := fmt.Sprintf("/%d", i)
		for k := 0; !c.placed(p, 0, 0); k++ {
			p = fmt.Sprintf("/%d/%d", i, k)
		}
		c.origin.Add(faultorigin.Object{Path: p, Size: 4 << 20})
		began := time.Now()
		resp, err := cdn.Fetch(b.Context(), origin.Request{Ref: c.ref(p), Rule: c.rule, Span: piece(0)})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(resp.Body, make([]byte, 64<<10)); err != nil {
			b.Fatal(err)
		}
		own = append(own, time.Since(began))
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		began = time.Now()
		content, err := c.nodes[at].Open(b.Context(), c.request(p, piece(0)))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := content.Next(b.Context(), piece(0)); err != nil {
			b.Fatal(err)
		}
		ours = append(ours, time.Since(began))
		content.Close()
	}
	slices.Sort(own)
	slices.Sort(ours)
	b.ReportMetric(float64(own[len(own)/2].Microseconds()), "origin-us")
	b.ReportMetric(float64(ours[len(ours)/2].Microseconds()), "ours-us")
}
