package ring

import (
	"fmt"
	"testing"

	"github.com/cespare/xxhash/v2"
)

// BenchmarkLookupBesideHash measures a lookup and the hash of a chunk's key in
// one run and prints how they compare: x-hash is lookups per hash.
func BenchmarkLookupBesideHash(b *testing.B) {
	r := mustNew(b, members(50))
	key := []byte("https://cdn.example.org/depot/228990/chunk/0123456789abcdef0123456789abcdef01234567#17")
	var sum uint64
	step := func(h uint64) uint64 { return h*6364136223846793005 + 1442695040888963407 }
	var perHash, perLookup float64
	b.Run("hash", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			sum += xxhash.Sum64(key)
		}
		perHash = float64(b.Elapsed()) / float64(b.N)
	})
	b.Run("lookup", func(b *testing.B) {
		b.ReportAllocs()
		h := uint64(1)
		for b.Loop() {
			h = step(h)
			sum += uint64(r.Lookup(h)[0])
		}
		perLookup = float64(b.Elapsed()) / float64(b.N)
		if perHash > 0 {
			b.ReportMetric(perLookup/perHash, "x-hash")
		}
	})
	_ = sum
}

// BenchmarkNew measures how long a ring takes to build, up to the largest.
func BenchmarkNew(b *testing.B) {
	for _, tc := range []struct {
		n       int
		name    string
		weights []int
	}{
		{3, "1", []int{1}},
		{50, "1", []int{1}}, {50, "1-4", []int{1, 2, 3, 4}},
		{200, "1", []int{1}}, {200, "1-4", []int{1, 2, 3, 4}}, {200, "4", []int{4}},
		{MaxMembers, "1", []int{1}}, {MaxMembers, "4", []int{4}},
	} {
		b.Run(fmt.Sprintf("members=%d/weights=%s", tc.n, tc.name), func(b *testing.B) {
			ms := weighted(members(tc.n, "a", "b", "c"), tc.weights...)
			b.ReportAllocs()
			for b.Loop() {
				mustNew(b, ms)
			}
		})
	}
}
