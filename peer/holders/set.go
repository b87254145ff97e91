package holders

import (
	"math/bits"

	"github.com/mccd/mccd/ring"
)

// Set is a set of partitions. The zero value is empty.
type Set [(ring.Partitions + 63) / 64]uint64

// Has reports whether partition p is in the set.
func (s *Set) Has(p int) bool { return s[p/64]&(1<<(p%64)) != 0 }

// Add puts partition p into the set.
func (s *Set) Add(p int) { s[p/64] |= 1 << (p % 64) }

// Remove takes partition p out of the set.
func (s *Set) Remove(p int) { s[p/64] &^= 1 << (p % 64) }

// Len returns how many partitions are in the set.
func (s *Set) Len() int {
	n := 0
	for _, w := range s {
		n += bits.OnesCount64(w)
	}
	return n
}

// Empty reports whether no partition is in the set.
func (s *Set) Empty() bool { return *s == Set{} }

// Without returns what of s is not in o.
func (s *Set) Without(o *Set) (out Set) {
	for i := range s {
		out[i] = s[i] &^ o[i]
	}
	return out
}

// Both returns what is in s and in o.
func (s *Set) Both(o *Set) (out Set) {
	for i := range s {
		out[i] = s[i] & o[i]
	}
	return out
}

// Each calls yield for each partition in the set, in order, until it returns
// false.
func (s *Set) Each(yield func(p int) bool) {
	for i, w := range s {
		for ; w != 0; w &= w - 1 {
			if !yield(i*64 + bits.TrailingZeros64(w)) {
				return
			}
		}
	}
}

// Bytes returns the set as bit i%8 of byte i/8, without zero bytes at its end.
func (s *Set) Bytes() []byte {
	out := make([]byte, len(s)*8)
	last := 0
	for i := range out {
		out[i] = byte(s[i/8] >> (i % 8 * 8))
		if out[i] != 0 {
			last = i + 1
		}
	}
	return out[:last]
}

// FromBytes reads what Bytes gives. ok is false for a partition that does not
// exist.
func FromBytes(b []byte) (s Set, ok bool) {
	for i, v := range b {
		for ; v != 0; v &= v - 1 {
			p := i*8 + bits.TrailingZeros8(v)
			if p >= ring.Partitions {
				return Set{}, false
			}
			s.Add(p)
		}
	}
	return s, true
}
