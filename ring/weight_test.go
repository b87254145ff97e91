package ring

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestOwnedByWeight: what a member owns, and what it takes over from a dead
// one, goes by its weight.
func TestOwnedByWeight(t *testing.T) {
	r := mustNew(t, weighted(members(12), 1, 2, 4))
	var ownedBy, takenBy [MaxWeight + 1]float64
	for p := range Partitions {
		o := r.At(p)
		ownedBy[r.Members()[o[0]].Weight]++
		takenBy[r.Members()[o[1]].Weight]++
	}
	const share = Partitions / 7.0 // four members of each weight
	for _, w := range []int{1, 2, 4} {
		if got := ownedBy[w] / (share * float64(w)); got < 0.8 || got > 1.25 {
			t.Errorf("weight %d owns %.2f of its share", w, got)
		}
		if got := takenBy[w] / (share * float64(w)); got < 0.75 || got > 1.3 {
			t.Errorf("weight %d takes over %.2f of its share", w, got)
		}
	}
}

// TestWeightRaised: one member's new weight moves little but what it gains,
// and leaves the sequence of the others alone.
func TestWeightRaised(t *testing.T) {
	const seed = 7
	r := rand.New(rand.NewPCG(seed, 0))
	for _, n := range []int{4, 12, 40} {
		ms := random(r, n, 2)
		id := ms[n/2].ID
		ms[n/2].Weight = 1
		before := mustNew(t, ms)
		ms[n/2].Weight = 2
		after := mustNew(t, ms)
		ideal := float64(Partitions) / float64(totalWeight(ms))
		if moved := float64(place(before.Members()).movedTo(place(after.Members()))); moved > 1.8*ideal {
			t.Errorf("seed %d, %d members: moved %.2f of the share", seed, n, moved/ideal)
		}
		others := func(r *Ring, p int) (ids []string) {
			for _, i := range r.At(p) {
				if r.Members()[i].ID != id {
					ids = append(ids, r.Members()[i].ID)
				}
			}
			return ids
		}
		for p := range Partitions {
			a, b := others(before, p), others(after, p)
			if k := min(len(a), len(b)); a[0] == b[0] && before.At(p)[0] == after.At(p)[0] && !slices.Equal(a[:k], b[:k]) {
				t.Fatalf("seed %d, %d members, partition %d: order %v became %v", seed, n, p, a, b)
			}
		}
	}
}

// TestCapacities: there is room for every partition, in rings of any weights.
func TestCapacities(t *testing.T) {
	for _, ms := range [][]Member{
		weighted(members(1), 4), weighted(members(200), 1, 2, 3, 4), weighted(members(MaxMembers), MaxWeight),
	} {
		sum := 0
		for _, room := range capacities(ms) {
			sum += room
		}
		if sum < Partitions {
			t.Errorf("%d members: room for %d partitions", len(ms), sum)
		}
	}
}

// TestLargest: the largest ring there may be holds together.
func TestLargest(t *testing.T) {
	r := mustNew(t, weighted(members(MaxMembers), MaxWeight))
	for p := range Partitions {
		o := slices.Clone(r.At(p))
		slices.Sort(o)
		if len(slices.Compact(o)) != Order {
			t.Fatalf("partition %d has order %v", p, r.At(p))
		}
	}
}
