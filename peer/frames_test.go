package peer

import "testing"

// Memory of the pool has the wanted length, whatever of it came back.
func TestBufferPool(t *testing.T) {
	var p bufferPool
	for range 2 { // new, and used
		for _, n := range []int{0, 1, 1025, 4096, 4097, 16384, 16385, 64 << 10, frameBytes - 1, frameBytes, frameBytes + 1, 4 << 20} {
			b := p.Get(n)
			if len(*b) != n {
				t.Fatalf("%d bytes for %d", len(*b), n)
			}
			if n > 0 && n <= frameBytes && cap(*b) >= 2*max(n, 4096) {
				t.Errorf("%d bytes take %d", n, cap(*b))
			}
			*b = (*b)[:n/2]
			p.Put(b)
		}
	}
	odd := make([]byte, 5000)
	p.Put(&odd) // not of the pool: nobody is to get it
	if b := p.Get(8000); cap(*b) < 8000 {
		t.Errorf("%d bytes for 8000", cap(*b))
	}
}
