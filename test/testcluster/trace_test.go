package testcluster_test

import (
	"context"
	"flag"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/faultorigin"
	"github.com/mccd/mccd/test/testcluster"
)

// traceSize is the length of the object that a Windows agent gives up half-way.
var traceSize = flag.Int64("trace-mib", 128, "MiB of the object of the traces; 512 = as large as a feature update")

// spent waits until no fill goes on at any node and returns how many bytes of path
// the origin has sent.
func spent(ctx context.Context, t *testing.T, o *faultorigin.Server, c *testcluster.Cluster, path string) int64 {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		flying := sum(t, c, "mccd_flights", "")
		if flying == 0 {
			break
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%v fills go on", flying)
		}
	}
	if n := o.Ledger().MaxTimes(path); n != 1 {
		t.Errorf("the origin sent a byte %d times", n)
	}
	return o.Ledger().Bytes(path)
}

// judge compares what the origin sent with what was asked for.
func judge(t *testing.T, what string, spent, asked int64, most float64) {
	t.Helper()
	ratio := float64(spent) / float64(asked)
	t.Logf("%s: the origin sent %.4f of what was asked for", what, ratio)
	if ratio > most {
		t.Errorf("%s: the origin sent %d bytes for %d, want at most %.2f times", what, spent, asked, most)
	}
}

// The Windows agent's two streams of pieces that take turns cost little more than
// what was read when they give up in the middle.
func TestTwoStreamsGivenUp(t *testing.T) {
	size := *traceSize << 20
	o, c := served(t, testcluster.Config{}, faultorigin.Object{Path: "/a", Size: size})
	ctx := timeout(t)
	var next atomic.Int64
	together(t, 2, func(int) error {
		if err := getFrom(ctx, c.Nodes[0], updates, "/a", "1", storage.Span{End: 2}); err != nil {
			return err
		}
		for {
			off := (next.Add(1) - 1) * storage.PieceSize
			if off >= size/2 {
				return nil
			}
			if err := getFrom(ctx, c.Nodes[0], updates, "/a", "1", storage.Span{Off: off, End: off + storage.PieceSize}); err != nil {
				return err
			}
		}
	})
	ahead := o.Ledger().Bytes("/a")
	if ahead <= size/2 && size >= 64<<20 {
		t.Error("nothing was read ahead")
	}
	// 4 MiB, or a 32nd from 128 MiB on, and no more than that.
	judge(t, "two streams", spent(ctx, t, o, c, "/a"), size/2, max(1.05, 1+float64(5<<20)/float64(size/2)))
	amplified(t, c, size/2, 1.05)
}

// Short reads far apart cost the pieces that they touch.
func TestShortReadsFarApart(t *testing.T) {
	const reads, size = 48, 48 * 16 << 20
	o, c := served(t, testcluster.Config{}, faultorigin.Object{Path: "/a", Size: size})
	ctx := timeout(t)
	asked := make([]storage.Span, reads)
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range asked {
		off := int64(i)*(16<<20) + rnd.Int64N(14<<20)
		asked[i] = storage.Span{Off: off, End: off + 4<<10 + rnd.Int64N(1<<20)}
	}
	rnd.Shuffle(reads, func(i, j int) { asked[i], asked[j] = asked[j], asked[i] })
	together(t, 6, func(k int) error {
		for i := k; i < reads; i += 6 {
			if err := get(ctx, c.Nodes[i%3], "/a", "1", asked[i]); err != nil {
				return err
			}
		}
		return nil
	})
	union := int64(0)
	for _, s := range asked {
		union += s.Round(storage.PieceSize, size).Len()
	}
	judge(t, "short reads", spent(ctx, t, o, c, "/a"), union, 1.02)
	amplified(t, c, union, 1.02)
}

// amplified checks what the nodes say was asked for and fetched.
func amplified(t *testing.T, c *testcluster.Cluster, asked int64, most float64) {
	t.Helper()
	requested := int64(sum(t, c, "mccd_fill_requested_bytes_total", ""))
	fetched := int64(sum(t, c, "mccd_fill_bytes_total", "origin"))
	t.Logf("by the nodes: %d requested, %d fetched", requested, fetched)
	if requested < asked || float64(requested) > float64(asked)*most+5<<20 {
		t.Errorf("nodes say that %d bytes were requested, want %d", requested, asked)
	}
}

// sum adds up what all nodes tell by a metric, of the series that bear label (""
// = all).
func sum(t *testing.T, c *testcluster.Cluster, name, label string) (total float64) {
	t.Helper()
	for _, n := range c.Nodes {
		families, err := n.Metrics().Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, family := range families {
			if family.GetName() != name {
				continue
			}
			for _, m := range family.GetMetric() {
				if label == "" || len(m.GetLabel()) > 0 && m.GetLabel()[0].GetValue() == label {
					total += m.GetGauge().GetValue() + m.GetCounter().GetValue()
				}
			}
		}
	}
	return total
}
