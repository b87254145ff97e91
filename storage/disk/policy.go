package disk

import (
	"container/list"
	"sync"

	"github.com/mccd/mccd/storage"
)

// policy orders the files of one drive for eviction: S3-FIFO. New files enter
// a small queue and leave the drive from there unless they were asked for
// again; those that were, and those that come back soon after they left, are
// in the main queue. A hit touches nothing here, it counts in the entry.
type policy struct {
	mu          sync.Mutex
	small, main queue
	ghost       map[storage.ChunkKey]*list.Element
	ghosts      list.List // of storage.ChunkKey, oldest in front
}

// queue is a list of entries from oldest (head) to newest.
type queue struct {
	head, tail *entry
	n          int
}

const (
	inNone uint8 = iota
	inSmall
	inMain
)

// add takes a new file in; known says that it was held before this process
// began, so that a scan does not push out what is in use.
func (p *policy) add(e *entry, known bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e.in != inNone {
		return
	}
	if g := p.ghost[e.key]; g != nil {
		p.ghosts.Remove(g)
		delete(p.ghost, e.key)
		known = true
	}
	if known {
		p.push(&p.main, e, inMain)
	} else {
		p.push(&p.small, e, inSmall)
	}
}

// remove forgets e, wherever it is.
func (p *policy) remove(e *entry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unlink(e)
}

// putBack returns a victim that is in use.
func (p *policy) putBack(e *entry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e.in == inNone {
		p.push(&p.main, e, inMain)
	}
}

// size returns the number of files known.
func (p *policy) size() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.small.n + p.main.n
}

// victim takes out the file to evict next, nil when there is none. Every file
// gets as many rounds as it was asked for, at most maxFreq, so this ends.
func (p *policy) victim() *entry {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		fromSmall := p.small.n > 0 && (p.small.n*10 >= p.main.n || p.main.n == 0)
		switch {
		case fromSmall:
			e := p.small.head
			p.unlink(e)
			if e.freq.Load() > 0 {
				e.freq.Store(0)
				p.push(&p.main, e, inMain)
				continue
			}
			p.remember(e.key)
			return e
		case p.main.n > 0:
			e := p.main.head
			p.unlink(e)
			if f := e.freq.Load(); f > 0 {
				e.freq.Store(f - 1)
				p.push(&p.main, e, inMain)
				continue
			}
			return e
		default:
			return nil
		}
	}
}

func (p *policy) remember(key storage.ChunkKey) {
	if p.ghost == nil {
		p.ghost = map[storage.ChunkKey]*list.Element{}
	}
	if p.ghost[key] == nil {
		p.ghost[key] = p.ghosts.PushBack(key)
	}
	for p.ghosts.Len() > p.main.n+p.small.n+1 {
		front := p.ghosts.Front()
		delete(p.ghost, front.Value.(storage.ChunkKey))
		p.ghosts.Remove(front)
	}
}

func (p *policy) push(q *queue, e *entry, in uint8) {
	e.in, e.prev, e.next = in, q.tail, nil
	if q.tail != nil {
		q.tail.next = e
	} else {
		q.head = e
	}
	q.tail = e
	q.n++
}

func (p *policy) unlink(e *entry) {
	q := &p.small
	switch e.in {
	case inNone:
		return
	case inMain:
		q = &p.main
	}
	if e.prev != nil {
		e.prev.next = e.next
	} else {
		q.head = e.next
	}
	if e.next != nil {
		e.next.prev = e.prev
	} else {
		q.tail = e.prev
	}
	e.in, e.prev, e.next = inNone, nil, nil
	q.n--
}
