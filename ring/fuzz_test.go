package ring

import (
	"bytes"
	"slices"
	"testing"
)

// FuzzNew: whatever the members, New does not panic; the ring has the members
// given, and each order holds min(n, Order) different ones.
func FuzzNew(f *testing.F) {
	f.Add("a\x00b\x00c", []byte{1, 2, 3}, uint64(7))
	f.Add("0:a\x001:a\x00a", []byte{4, 0x14, 4}, uint64(0))
	f.Add("", []byte(nil), uint64(0))
	f.Add("a\x00b", []byte{5, 255}, uint64(1))
	f.Fuzz(func(t *testing.T, ids string, traits []byte, hash uint64) {
		var ms []Member
		for i, id := range bytes.Split([]byte(ids), []byte{0}) {
			if i == 12 {
				break
			}
			m := Member{ID: string(id)}
			if i < len(traits) { // low bits the weight, high bits the zone
				m.Weight = int(traits[i]&15) - 1
				m.Zone = string(rune('a' + traits[i]>>4))
			}
			ms = append(ms, m)
		}
		r, err := New(ms)
		if err != nil {
			if r != nil {
				t.Fatal("a ring beside an error")
			}
			return
		}
		if len(r.Members()) != len(ms) {
			t.Fatalf("%d members of %d", len(r.Members()), len(ms))
		}
		for _, order := range [][]uint16{r.Lookup(hash), r.At(0), r.At(Partitions - 1)} {
			if len(order) != min(len(ms), Order) {
				t.Fatalf("order %v of %d members", order, len(ms))
			}
			for k, i := range order {
				if int(i) >= len(ms) || slices.Contains(order[:k], i) {
					t.Fatalf("order %v of %d members", order, len(ms))
				}
			}
		}
	})
}
