package evict

// ghosts remembers the hashes of copies that went from a small queue, the
// youngest ones.
type ghosts struct {
	known map[uint64]struct{}
	fifo  []uint64 // from head on, oldest first
	head  int
}

// add remembers h, and at most limit in all.
func (g *ghosts) add(h uint64, limit int) {
	if g.known == nil {
		g.known = map[uint64]struct{}{}
	}
	if _, ok := g.known[h]; ok {
		return
	}
	g.known[h] = struct{}{}
	g.fifo = append(g.fifo, h)
	for len(g.fifo)-g.head > limit {
		delete(g.known, g.fifo[g.head])
		g.head++
	}
	if g.head > 64 && g.head > len(g.fifo)/2 {
		g.fifo = append(g.fifo[:0], g.fifo[g.head:]...)
		g.head = 0
	}
}

// take reports whether h is remembered, and forgets it. Its place in the order
// stays taken.
func (g *ghosts) take(h uint64) bool {
	_, ok := g.known[h]
	delete(g.known, h)
	return ok
}
