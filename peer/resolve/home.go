package resolve

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/mccd/mccd/storage"
)

// ErrLost is the end of a lease whose holder was not heard of any more; the
// next who waits gets the lease. It never reaches those who wait.
var ErrLost = errors.New("lease lost")

// Records keeps the records of a node.
type Records interface {
	// Record returns what is kept of object id, nil when nothing is.
	Record(id storage.ObjectID) *storage.Object
	// Publish keeps o unless a newer registration is kept already or o does
	// not count, and returns what is kept then, nil for nothing.
	Publish(o *storage.Object) *storage.Object
}

// Query says what would answer a node that wants an object's version.
type Query struct {
	// Registration is the registration that the asker found stale, or
	// contradicted; 0 = none. A record that was registered before it does not
	// answer: the asker has been told a newer one.
	Registration uint64
	// Refuted is a version that the asker saw the origin contradict; the zero
	// value means none.
	Refuted storage.VersionID
	// Always asks for an answer of the origin that began after the asker came
	// or was in progress then (Rule.AlwaysRevalidate).
	Always bool
}

// Grant is the home's answer: a record, or a lease.
type Grant struct {
	// Record is the current record; nil with a lease.
	Record *storage.Object
	// Lease is the number under which the asker is to ask the origin; 0 = none.
	Lease uint64
	// Stale is the record to revalidate, with a lease; may be nil.
	Stale *storage.Object
}

// Home holds the leases of the objects whose home this node is, or acts as.
// All methods are safe for concurrent use.
type Home struct {
	records Records
	now     func() time.Time

	mu      sync.Mutex // guards what follows
	counter uint64     // the last number given, to a lease or a registration
	leases  map[storage.ObjectID]*lease
}

// lease is one question at the origin in progress.
type lease struct {
	number uint64
	done   chan struct{} // closed when the question is answered or lost
	record *storage.Object
	err    error // the answer where there is no record; ErrLost
}

// NewHome returns a Home over records. Lease and registration numbers begin at
// the clock's nanoseconds, so that they grow over restarts.
func NewHome(records Records, now func() time.Time) *Home {
	start := uint64(now().UnixNano())
	return &Home{records: records, now: now, counter: start, leases: make(map[storage.ObjectID]*lease)}
}

// Acquire returns the current record of id, or a lease to ask the origin. It
// waits while another holds the lease and returns that one's result, its error
// included.
func (h *Home) Acquire(ctx context.Context, id storage.ObjectID, q Query) (Grant, error) {
	for {
		h.mu.Lock()
		held := h.leases[id]
		if held == nil {
			// The lease is taken before the record is read, so that the read,
			// which may go to a drive, happens outside the lock.
			h.counter++
			mine := &lease{number: h.counter, done: make(chan struct{})}
			h.leases[id] = mine
			h.mu.Unlock()
			record := h.records.Record(id)
			if record == nil || !h.answers(record, q) {
				return Grant{Lease: mine.number, Stale: record}, nil
			}
			h.end(id, mine.number, record, nil)
			return Grant{Record: record}, nil
		}
		h.mu.Unlock()
		select {
		case <-ctx.Done():
			return Grant{}, context.Cause(ctx)
		case <-held.done:
		}
		switch {
		case errors.Is(held.err, ErrLost):
			continue
		case held.err != nil:
			return Grant{}, held.err
		default:
			return Grant{Record: held.record}, nil
		}
	}
}

func (h *Home) answers(o *storage.Object, q Query) bool {
	if q.Refuted != (storage.VersionID{}) && o.Version.ID() == q.Refuted && o.Registration <= q.Registration {
		return false
	}
	return !q.Always && o.Registration >= q.Registration && o.Fresh(h.now())
}

// Register takes what the origin said under lease number n (0 = an observation
// without a lease) and returns the record that is current from then on. A
// lease that was lost meanwhile is fenced: what the next holder registered
// stays. nil = a purge has overtaken the answer: the lease is lost, and the next
// who waits gets one.
func (h *Home) Register(id storage.ObjectID, n uint64, o *storage.Object) *storage.Object {
	before := h.records.Record(id)
	h.mu.Lock()
	held := h.leases[id]
	fenced := n != 0 && (held == nil || held.number != n)
	// The numbers of another home, which may have started later, are passed.
	h.counter = max(h.counter, o.Registration)
	if before != nil {
		h.counter = max(h.counter, before.Registration)
	}
	h.counter++
	registered := *o.After(before)
	registered.Registration = h.counter
	h.mu.Unlock()
	if fenced && before != nil && before.Registration > n {
		return before // registered after this lease was given
	}
	current := h.records.Publish(&registered)
	if current == nil {
		h.end(id, n, nil, ErrLost)
		return nil
	}
	if n != 0 {
		h.end(id, n, current, nil)
	}
	return current
}

// Fail ends lease n with the origin's error, for all who wait.
func (h *Home) Fail(id storage.ObjectID, n uint64, err error) { h.end(id, n, nil, err) }

// Lose ends lease n without an answer: the next who waits gets a lease.
func (h *Home) Lose(id storage.ObjectID, n uint64) { h.end(id, n, nil, ErrLost) }

func (h *Home) end(id storage.ObjectID, n uint64, record *storage.Object, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	held := h.leases[id]
	if held == nil || held.number != n {
		return
	}
	delete(h.leases, id)
	held.record, held.err = record, err
	close(held.done)
}
