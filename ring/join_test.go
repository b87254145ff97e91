package ring

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

var sets = flag.Int("sets", 2, "random sets of names to measure joins with")

// random returns n members with names as nodes have and weights of 1 to
// heaviest, sorted.
func random(r *rand.Rand, n, heaviest int) []Member {
	ms := make([]Member, n)
	for i := range ms {
		ms[i] = Member{ID: fmt.Sprintf("%016x%016x", r.Uint64(), r.Uint64()), Weight: 1 + r.IntN(heaviest)}
	}
	return sortByID(ms)
}

func sortByID(ms []Member) []Member {
	slices.SortFunc(ms, func(a, b Member) int { return strings.Compare(a.ID, b.ID) })
	return ms
}

// placed is a set of members with the owners that assign gives.
type placed struct {
	members []Member
	owners  []uint16
}

func place(ms []Member) placed { return placed{ms, assign(ms)} }

func (a placed) join(m Member) placed {
	return place(sortByID(append(slices.Clone(a.members), m)))
}

func (a placed) owner(p int) string { return a.members[a.owners[p]].ID }

// movedTo returns how many partitions have another owner in b.
func (a placed) movedTo(b placed) (n int) {
	for p := range Partitions {
		if a.owner(p) != b.owner(p) {
			n++
		}
	}
	return n
}

// ideal is the share of weight in a's partitions.
func (a placed) ideal(weight int) float64 {
	return float64(Partitions*weight) / float64(totalWeight(a.members))
}

// fullest is the largest number of partitions of one member, as a multiple of
// the share of its weight.
func (a placed) fullest() (f float64) {
	counts := make([]int, len(a.members))
	for _, i := range a.owners {
		counts[i]++
	}
	for i, k := range counts {
		f = max(f, float64(k)/a.ideal(a.members[i].Weight))
	}
	return f
}

// figures are those of 20 joins, all as multiples of the ideal.
type figures struct{ mean, worst, fullest float64 }

func measure(r *rand.Rand, n, heaviest int, grow bool) figures {
	var f figures
	at := place(random(r, n, heaviest))
	for range 20 {
		newcomer := random(r, 1, heaviest)[0]
		next := at.join(newcomer)
		q := float64(at.movedTo(next)) / next.ideal(newcomer.Weight)
		f.mean += q / 20
		f.worst = max(f.worst, q)
		f.fullest = max(f.fullest, next.fullest())
		if grow {
			at = next
		}
	}
	return f
}

// TestJoins measures 20 joins, of 20 newcomers to one ring or of one after the
// other, over several sets of names.
func TestJoins(t *testing.T) {
	type limits struct{ mean, worst float64 }
	small, large := limits{1.15, 1.4}, limits{1.5, 1.8}
	for _, tc := range []struct {
		n    int
		grow bool
		limits
	}{
		{3, false, small}, {10, false, small}, {50, false, small}, {200, false, large},
		{1, true, small}, {30, true, small}, {180, true, large},
	} {
		for _, heaviest := range []int{1, MaxWeight} {
			r := rand.New(rand.NewPCG(uint64(tc.n), uint64(heaviest)))
			var sum, top figures
			missedMean, missedWorst := 0, 0
			for range *sets {
				f := measure(r, tc.n, heaviest, tc.grow)
				sum.mean += f.mean / float64(*sets)
				sum.worst += f.worst / float64(*sets)
				top = figures{max(top.mean, f.mean), max(top.worst, f.worst), max(top.fullest, f.fullest)}
				if f.mean > tc.mean {
					missedMean++
				}
				if f.worst > tc.worst {
					missedWorst++
				}
			}
			t.Logf("n=%3d grow=%-5v weights 1-%d: mean %.2f (top %.2f), worst avg %.2f (top %.2f), fullest %.3f; of %d sets %d mean > %.2f, %d worst > %.1f",
				tc.n, tc.grow, heaviest, sum.mean, top.mean, sum.worst, top.worst, top.fullest, *sets, missedMean, tc.mean, missedWorst, tc.worst)
		}
	}
}
