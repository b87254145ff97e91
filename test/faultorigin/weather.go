package faultorigin

import (
	"encoding/binary"
	"hash/fnv"
	"math/rand/v2"
)

// Weather is bad luck by a seed: a share of the requests at each path meets one
// of some faults, and never two in a row at one path, so that whoever asks again
// gets on. The same seed gives the same luck.
type Weather struct {
	Seed uint64
	// Share of the requests that meet a fault; 0 = none, 1 = every second one.
	Share float64
	// Faults are what they meet, each as often as the others.
	Faults []Behaviour
}

// Behaviour returns that of the n-th request at path, n from 1.
func (w Weather) Behaviour(path string, n int) Behaviour {
	in := 0 // how many requests in a row, this one included, drew a fault
	for in < n && w.draw(path, n-in).Float64() < w.Share {
		in++
	}
	if in%2 == 0 || len(w.Faults) == 0 {
		return Behaviour{}
	}
	draw := w.draw(path, n)
	_ = draw.Float64()
	return w.Faults[draw.IntN(len(w.Faults))]
}

// draw returns the numbers of the n-th request at path.
func (w Weather) draw(path string, n int) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(path))
	_ = binary.Write(h, binary.LittleEndian, uint64(n))
	return rand.New(rand.NewPCG(w.Seed, h.Sum64()))
}
