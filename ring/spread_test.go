package ring

import (
	"math"
	"slices"
	"testing"
	"time"
)

func owned(r *Ring) map[string]int {
	counts := make(map[string]int)
	for p := range Partitions {
		counts[r.Members()[r.At(p)[0]].ID]++
	}
	return counts
}

// TestBalance: the fullest member owns at most 1.27 of the mean (1.25, rounded
// up to whole partitions).
func TestBalance(t *testing.T) {
	for _, n := range []int{1, 2, 3, 5, 10, 50, 200} {
		start := time.Now()
		r := mustNew(t, members(n))
		built := time.Since(start).Round(time.Millisecond)
		fullest := 0
		for _, k := range owned(r) {
			fullest = max(fullest, k)
		}
		ratio := float64(fullest) * float64(n) / Partitions
		t.Logf("%d members: fullest %.3f of the mean, built in %v", n, ratio, built)
		if fullest > int(math.Ceil(1.25*Partitions/float64(n))) || ratio > 1.275 {
			t.Errorf("%d members: fullest owns %.3f of the mean", n, ratio)
		}
	}
}

// TestMovementAtJoin: a join moves little more than the newcomer's share, and
// the order of those who stay keeps its sense.
func TestMovementAtJoin(t *testing.T) {
	for _, tc := range []struct {
		n     int
		limit float64
	}{{1, 1.02}, {3, 1.3}, {10, 1.4}, {50, 1.4}} {
		ms := members(tc.n + 1)
		before, after := mustNew(t, ms[:tc.n]), mustNew(t, ms)
		moved := 0
		for p := range Partitions {
			if before.Members()[before.At(p)[0]].ID != after.Members()[after.At(p)[0]].ID {
				moved++
			}
		}
		ratio := float64(moved) * float64(tc.n+1) / Partitions
		t.Logf("%d -> %d members: moved %.3f of the ideal share", tc.n, tc.n+1, ratio)
		if ratio > tc.limit {
			t.Errorf("%d -> %d members: moved %.3f of the ideal share, more than %v", tc.n, tc.n+1, ratio, tc.limit)
		}
	}
}

// TestDeadOwnersLoadSpreads: what a dead member owned goes to all survivors,
// none of whom takes much more than an equal part.
func TestDeadOwnersLoadSpreads(t *testing.T) {
	for _, n := range []int{3, 5, 20, 60} {
		r := mustNew(t, members(n))
		takers, total := make(map[uint16]int), 0
		for p := range Partitions {
			if o := r.At(p); o[0] == 0 {
				takers[o[1]]++
				total++
			}
		}
		if n <= 20 && len(takers) != n-1 {
			t.Errorf("%d members: %d of %d survivors take over", n, len(takers), n-1)
		}
		for i, k := range takers {
			if mean := float64(total) / float64(n-1); float64(k) > 2.2*mean+4 {
				t.Errorf("%d members: survivor %d takes %d, mean %.1f", n, i, k, mean)
			}
		}
	}
}

// TestSuccessorsAreStable: a join only inserts the newcomer into the orders;
// those who stay keep their sequence behind an unchanged owner.
func TestSuccessorsAreStable(t *testing.T) {
	ms := members(7)
	before, after := mustNew(t, ms[:6]), mustNew(t, ms)
	newcomer := ms[6].ID
	names := func(r *Ring, p int) []string {
		var ids []string
		for _, i := range r.At(p) {
			if id := r.Members()[i].ID; id != newcomer {
				ids = append(ids, id)
			}
		}
		return ids
	}
	kept := 0
	for p := range Partitions {
		a, b := names(before, p), names(after, p)
		if a[0] != b[0] {
			continue
		}
		kept++
		if !slices.Equal(a, b) {
			t.Fatalf("partition %d: order %v became %v", p, a, b)
		}
	}
	if kept < Partitions*3/4 {
		t.Fatalf("only %d partitions kept their owner", kept)
	}
}
