package faultorigin

import (
	"encoding/binary"
	"hash/fnv"
	"math/rand/v2"
)

// apart is how many requests without a fault follow one with a fault at least, at
// one path: those who ask again get on, also where several do so at once.
const apart = 3

// stretch is after how many requests the draw begins anew.
const stretch = 64

// Weather is bad luck by a seed: some of the requests at each path meet one of
// some faults, and of four in a row at one path at most one does. The same seed
// gives the same luck.
type Weather struct {
	Seed uint64
	// Share is how likely a fault is where there may be one; 0 = none.
	Share float64
	// Faults are what they meet, each as often as the others.
	Faults []Behaviour
}

// Behaviour returns that of the n-th request at path, n from 1.
func (w Weather) Behaviour(path string, n int) Behaviour {
	if len(w.Faults) == 0 {
		return Behaviour{}
	}
	first := (n-1)/stretch*stretch + 1
	next := first // where there may be one
	if first > 1 {
		next += apart
	}
	for i := next; i <= n; i++ {
		draw := w.draw(path, i)
		if i < next || draw.Float64() >= w.Share {
			continue
		}
		if next = i + 1 + apart; i == n {
			return w.Faults[draw.IntN(len(w.Faults))]
		}
	}
	return Behaviour{}
}

// draw returns the numbers of the n-th request at path.
func (w Weather) draw(path string, n int) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(path))
	_ = binary.Write(h, binary.LittleEndian, uint64(n))
	return rand.New(rand.NewPCG(w.Seed, h.Sum64()))
}
