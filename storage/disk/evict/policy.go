package evict

import "sync"

const (
	// smallShare of a class is for what was not asked for again yet.
	smallShare = 10
	// maxSteps bounds the second chances that one Take gives: then the next in
	// line goes, whatever its uses.
	maxSteps = 512
	// dear is what a trip to the origin costs in trips within the cluster.
	dear = 4
)

// Config says how a Policy divides its drive.
type Config struct {
	// Share is what borrowed copies may take, in bytes, whatever owned ones
	// need.
	Share int64
}

// Policy orders the copies on one drive. Its methods are safe for concurrent
// use; each does a bounded amount of work, under one lock.
type Policy[E Member[E]] struct {
	share int64

	mu sync.Mutex // guards what follows and the Links of all members, but for uses
	// queues has, by class, what is new and what was asked for again; of Old
	// and Pinned only the latter is used.
	queues [classes][2]queue[E]
	ghosts ghosts
	now    uint32 // counts what enters a queue
}

// New returns a Policy that knows nothing.
func New[E Member[E]](cfg Config) *Policy[E] { return &Policy[E]{share: cfg.Share} }

// Add takes e in. known tells that it was held before this process began. What
// left a short time ago and what is known is not new.
func (p *Policy[E]) Add(e E, class Class, known bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e.Links().queue != nowhere {
		return
	}
	if p.ghosts.take(e.Hash()) || known {
		p.enter(e, class, large)
	} else {
		p.enter(e, class, small)
	}
}

// Grew notes that e has n bytes more, before Add or after it.
func (p *Policy[E]) Grew(e E, n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := e.Links()
	l.size += uint32(n)
	if q := p.queueOf(l); q != nil {
		q.bytes += n
	}
}

// Remove forgets e, wherever it is.
func (p *Policy[E]) Remove(e E) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.leave(e)
}

// Classify notes what e is worth now. It keeps its age.
func (p *Policy[E]) Classify(e E, class Class) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := e.Links()
	if l.queue == nowhere || l.class == class {
		return
	}
	queue, stamp := l.queue, l.stamp
	p.leave(e)
	p.enter(e, class, queue)
	l.stamp = stamp
}

// Take takes out the copy to go next, with the class that it was last said to
// be in; false when there is none. What is pinned never goes. Its owner drops it
// for good, or gives it back by Return or PutBack.
func (p *Policy[E]) Take() (e E, class Class, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for step := 0; ; step++ {
		class, ok = p.choose()
		if !ok {
			return e, class, false
		}
		qs := &p.queues[class]
		all := qs[0].bytes + qs[1].bytes
		from := large
		if qs[0].n > 0 && (qs[0].bytes*smallShare >= all || qs[1].n == 0) {
			from = small
		}
		e = qs[from-small].head
		l := e.Links()
		p.leave(e)
		uses := l.count()
		switch {
		case class == Old || step >= maxSteps:
			return e, class, true
		case uses == 0:
			if from == small {
				p.ghosts.add(e.Hash(), p.count()+1)
			}
			return e, class, true
		case from == small:
			l.spend(maxUses)
			p.enter(e, class, large)
		default:
			l.spend(1)
			p.enter(e, class, large)
		}
	}
}

// Return gives back a copy taken out that turned out to be of another class: it
// goes next of that one.
func (p *Policy[E]) Return(e E, class Class) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := e.Links()
	if l.queue != nowhere {
		return
	}
	l.queue, l.class = large, class
	p.queues[class][1].pushFront(e)
}

// PutBack gives back a copy taken out that is in use and stays for now.
func (p *Policy[E]) PutBack(e E) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l := e.Links(); l.queue == nowhere {
		p.enter(e, l.class, large)
	}
}

// Usage returns how many copies of a class there are, and what they take.
func (p *Policy[E]) Usage(class Class) (n int, bytes int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	qs := &p.queues[class]
	return qs[0].n + qs[1].n, qs[0].bytes + qs[1].bytes
}

// Len returns the number of copies known, pinned ones included.
func (p *Policy[E]) Len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count()
}

func (p *Policy[E]) count() (n int) {
	for c := range p.queues {
		n += p.queues[c][0].n + p.queues[c][1].n
	}
	return n
}

// choose returns the class that loses a copy next. mu is held.
func (p *Policy[E]) choose() (Class, bool) {
	if p.queues[Old][1].n > 0 {
		return Old, true
	}
	borrowed, owned := &p.queues[Borrowed], &p.queues[Owned]
	nb, no := borrowed[0].n+borrowed[1].n, owned[0].n+owned[1].n
	switch {
	case nb == 0:
		return Owned, no > 0
	case no == 0, borrowed[0].bytes+borrowed[1].bytes > p.share:
		return Borrowed, true
	case p.ages(borrowed, owned):
		return Borrowed, true
	default:
		return Owned, true
	}
}

// ages reports whether the oldest borrowed copy is to go before the oldest owned
// one: it does unless that one entered its queue dear times as long ago.
func (p *Policy[E]) ages(borrowed, owned *[2]queue[E]) bool {
	return uint64(p.now-oldest(borrowed))*dear >= uint64(p.now-oldest(owned))
}

func oldest[E Member[E]](qs *[2]queue[E]) uint32 {
	if qs[1].n > 0 {
		return qs[1].head.Links().stamp
	}
	return qs[0].head.Links().stamp
}

// enter puts e at the end of a queue. mu is held, as for the rest.
func (p *Policy[E]) enter(e E, class Class, queue uint8) {
	if class == Old || class == Pinned {
		queue = large
	}
	p.now++
	l := e.Links()
	l.queue, l.class, l.stamp = queue, class, p.now
	p.queues[class][queue-small].push(e)
}

func (p *Policy[E]) leave(e E) {
	l := e.Links()
	if q := p.queueOf(l); q != nil {
		q.unlink(e)
		l.queue = nowhere
	}
}

func (p *Policy[E]) queueOf(l *Links[E]) *queue[E] {
	if l.queue == nowhere {
		return nil
	}
	return &p.queues[l.class][l.queue-small]
}
