package main

import (
	"container/heap"
	"container/list"
	"math"
)

// score is what a replay gave.
type score struct {
	reads, hits     int
	bytes, hitBytes int64
}

func (s *score) count(r read, hit bool) {
	s.reads++
	s.bytes += int64(r.size)
	if hit {
		s.hits++
		s.hitBytes += int64(r.size)
	}
}

// ratio returns the part of the reads that were hits.
func (s *score) ratio() float64 { return float64(s.hits) / float64(max(1, s.reads)) }

// byteRatio returns the part of the bytes that were hits.
func (s *score) byteRatio() float64 { return float64(s.hitBytes) / float64(max(1, s.bytes)) }

// misses returns the bytes that were no hits.
func (s *score) misses() int64 { return s.bytes - s.hitBytes }

// queued replays t with one list: LRU, where a hit moves to its end, or FIFO.
func queued(t trace, lru bool) (s score) {
	held := map[uint64]*list.Element{}
	order := list.New()
	used := int64(0)
	for _, r := range t.reads {
		e := held[r.key]
		s.count(r, e != nil)
		if e != nil {
			if lru {
				order.MoveToBack(e)
			}
			continue
		}
		for used+int64(r.size) > t.capacity {
			front := order.Front()
			gone := order.Remove(front).(read)
			delete(held, gone.key)
			used -= int64(gone.size)
		}
		held[r.key] = order.PushBack(r)
		used += int64(r.size)
	}
	return s
}

// ideal replays t with Belady's policy, which knows what comes: out goes what is
// read again last. With chunks of several sizes it is no longer the best
// possible, but near.
func ideal(t trace) (s score) {
	next := make([]int, len(t.reads))
	last := map[uint64]int{}
	for i := len(t.reads) - 1; i >= 0; i-- {
		next[i] = math.MaxInt
		if n, ok := last[t.reads[i].key]; ok {
			next[i] = n
		}
		last[t.reads[i].key] = i
	}
	held := map[uint64]*future{}
	var h futures
	used := int64(0)
	for i, r := range t.reads {
		f := held[r.key]
		s.count(r, f != nil)
		if f != nil {
			f.next = next[i]
			heap.Fix(&h, f.at)
			continue
		}
		if next[i] == math.MaxInt {
			continue // it passes by
		}
		for used+int64(r.size) > t.capacity {
			gone := heap.Pop(&h).(*future)
			delete(held, gone.key)
			used -= int64(gone.size)
		}
		f = &future{read: r, next: next[i]}
		heap.Push(&h, f)
		held[r.key] = f
		used += int64(r.size)
	}
	return s
}

// future is a chunk held by the ideal policy.
type future struct {
	read
	next, at int
}

// futures is a heap with what is read again last on top.
type futures []*future

func (h futures) Len() int           { return len(h) }
func (h futures) Less(i, j int) bool { return h[i].next > h[j].next }
func (h futures) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = i, j
}

// Push implements heap.Interface.
func (h *futures) Push(x any) {
	f := x.(*future)
	f.at = len(*h)
	*h = append(*h, f)
}

// Pop implements heap.Interface.
func (h *futures) Pop() any {
	f := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return f
}
