package evict

import "sync/atomic"

// Class is what a copy is worth, least first.
type Class uint8

// The classes.
const (
	// Old: a version that is superseded, which only downloads in progress
	// still want.
	Old Class = iota
	// Borrowed: the owner of the chunk holds it too; losing it costs a trip
	// within the cluster.
	Borrowed
	// Owned: losing it costs a trip to the origin.
	Owned
	// Pinned: it stays.
	Pinned
	classes = iota
)

// String returns "old", "borrowed", "owned" or "pinned".
func (c Class) String() string {
	return [...]string{"old", "borrowed", "owned", "pinned"}[min(c, Pinned)]
}

// maxUses is how far uses are counted: so many rounds of the main queue a copy
// stays that is not asked for any more.
const maxUses = 3

// Links is what the policy keeps of one copy, inside of what its owner keeps of
// it: 32 bytes. The zero value is a copy that the policy does not know.
type Links[E any] struct {
	prev, next E
	// size is what the copy takes, in bytes; stamp when it entered its queue,
	// in the policy's time.
	size, stamp uint32
	// uses has the count in its low usesBits, and above them the tick of the
	// last use that counted.
	uses  atomic.Uint32
	queue uint8
	class Class
}

const usesBits = 2

// Began notes the tick at which the copy was made.
func (l *Links[E]) Began(tick uint32) { l.uses.Store(tick << usesBits) }

// Use counts a use at tick, a number that grows with the time, unless another
// was counted at this tick or the one before: the many requests that one
// download makes are no popularity. It takes no lock.
func (l *Links[E]) Use(tick uint32) {
	was := l.uses.Load()
	tick &= 1<<(32-usesBits) - 1
	if tick-was>>usesBits < 2 {
		return
	}
	l.uses.CompareAndSwap(was, tick<<usesBits|min(was&maxUses+1, maxUses))
}

// count returns the uses counted and not spent.
func (l *Links[E]) count() uint32 { return l.uses.Load() & maxUses }

// spend takes n of the uses counted away.
func (l *Links[E]) spend(n uint32) {
	for {
		was := l.uses.Load()
		if l.uses.CompareAndSwap(was, was-min(n, was&maxUses)) {
			return
		}
	}
}

// Member is a pointer to what its owner keeps of a copy.
type Member[E any] interface {
	comparable
	// Links returns the Links inside, always the same.
	Links() *Links[E]
	// Hash tells copies apart, also after they are gone: 64 well mixed bits of
	// the key.
	Hash() uint64
}

// The queues of a copy.
const (
	nowhere uint8 = iota
	small
	large
)

// queue is a list of copies from oldest (head) to newest.
type queue[E Member[E]] struct {
	head, tail E
	n          int
	bytes      int64
}

func (q *queue[E]) push(e E) {
	var none E
	l := e.Links()
	l.prev, l.next = q.tail, none
	if q.tail != none {
		q.tail.Links().next = e
	} else {
		q.head = e
	}
	q.tail = e
	q.n++
	q.bytes += int64(l.size)
}

func (q *queue[E]) pushFront(e E) {
	var none E
	l := e.Links()
	l.prev, l.next = none, q.head
	if q.head != none {
		q.head.Links().prev = e
	} else {
		q.tail = e
	}
	q.head = e
	q.n++
	q.bytes += int64(l.size)
}

func (q *queue[E]) unlink(e E) {
	var none E
	l := e.Links()
	if l.prev != none {
		l.prev.Links().next = l.next
	} else {
		q.head = l.next
	}
	if l.next != none {
		l.next.Links().prev = l.prev
	} else {
		q.tail = l.prev
	}
	l.prev, l.next = none, none
	q.n--
	q.bytes -= int64(l.size)
}
