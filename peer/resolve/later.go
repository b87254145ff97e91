package resolve

import (
	"context"
	"sync"

	"github.com/mccd/mccd/storage"
)

// maxLater bounds the records that wait to be written; over it who publishes
// writes.
const maxLater = 1024

// later are the records that are to reach the disk: a client's first byte does
// not wait for that.
type later struct {
	run func(func()) bool

	mu      sync.Mutex // guards pending
	pending map[storage.ObjectID]*write
}

// write is one that waits; o is the newest to be written.
type write struct {
	id   storage.ObjectID
	o    *storage.Object
	done chan struct{}
}

// write lets o, or what takes its place meanwhile, reach the disk.
func (c *Cache) write(o *storage.Object) {
	l := &c.later
	l.mu.Lock()
	if w := l.pending[o.ID]; w != nil {
		if !newer(w.o, o) {
			w.o = o // it has not begun
		}
		l.mu.Unlock()
		return
	}
	if l.run == nil || len(l.pending) >= maxLater {
		l.mu.Unlock()
		c.store(&write{id: o.ID, o: o, done: make(chan struct{})})
		return
	}
	w := &write{id: o.ID, o: o, done: make(chan struct{})}
	l.pending[o.ID] = w
	l.mu.Unlock()
	if !l.run(func() { c.store(w) }) {
		c.store(w)
	}
}

// store puts the present record of w's object on disk, and drops it again if it
// was purged meanwhile by a purge that may not have found it.
func (c *Cache) store(w *write) {
	id := w.id
	if o := c.put(id, w); c.judge(o, true) == nil {
		c.Forget(id)
	}
	close(w.done)
}

func (c *Cache) put(id storage.ObjectID, w *write) *storage.Object {
	lock := &c.writes[int(id[0])%len(c.writes)]
	lock.Lock()
	defer lock.Unlock()
	c.later.mu.Lock()
	if c.later.pending[id] == w {
		delete(c.later.pending, id)
	}
	o := w.o
	c.later.mu.Unlock()
	if now, ok := c.memory.peek(o.ID); ok {
		o = now
	} else if kept, err := c.disk.Record(o.ID); err == nil && newer(kept, o) {
		return o // both were pushed out of memory, and that one was written before
	}
	if c.judge(o, true) == nil {
		return o
	}
	if err := c.disk.PutRecord(o); err != nil {
		c.logger.Warn("record not kept on disk", "object", o.ID.String(), "error", err)
	}
	return o
}

// Settle waits until what was published before has reached the disk, or has
// failed to.
func (c *Cache) Settle(ctx context.Context) error {
	c.later.mu.Lock()
	waits := make([]chan struct{}, 0, len(c.later.pending))
	for _, w := range c.later.pending {
		waits = append(waits, w.done)
	}
	c.later.mu.Unlock()
	for _, done := range waits {
		select {
		case <-done:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	for i := range c.writes { // and those that had begun
		c.writes[i].Lock()
		c.writes[i].Unlock() //nolint:staticcheck // to have held it is all
	}
	return nil
}
