package ring

import (
	"math/rand/v2"
	"testing"

	"github.com/buraksezer/consistent"
	"github.com/cespare/xxhash/v2"
)

type hasher struct{}

func (hasher) Sum64(b []byte) uint64 { return xxhash.Sum64(b) }

type name string

func (n name) String() string { return string(n) }

// TestSameAsConsistent: with weights of 1 every owner is that of
// buraksezer/consistent, which placed the first rings of format 1.
func TestSameAsConsistent(t *testing.T) {
	const seed = 20261122
	r := rand.New(rand.NewPCG(seed, 0))
	for _, n := range []int{1, 2, 3, 7, 50, 120} {
		ms := random(r, n, 1)
		points := make([]consistent.Member, n)
		for i, m := range ms {
			points[i] = name(m.ID)
		}
		want := consistent.New(points, consistent.Config{
			Hasher: hasher{}, PartitionCount: Partitions, ReplicationFactor: replicas, Load: 1.25,
		})
		owners := assign(ms)
		for p, i := range owners {
			if got, want := ms[i].ID, want.GetPartitionOwner(p).String(); got != want {
				t.Fatalf("seed %d, %d members: partition %d is %s's, consistent gives it to %s", seed, n, p, got, want)
			}
		}
	}
}
