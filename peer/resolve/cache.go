package resolve

import (
	"log/slog"
	"sync"

	"github.com/mccd/mccd/storage"
)

// Disk keeps records over restarts.
type Disk interface {
	// Record returns what is kept of object id, or an error when nothing is.
	Record(id storage.ObjectID) (*storage.Object, error)
	// PutRecord keeps o in place of what was kept.
	PutRecord(o *storage.Object) error
	// DropRecord removes what is kept of object id.
	DropRecord(id storage.ObjectID) error
}

// Judge says whether a record counts: it returns o, or a copy that bears a
// newer stamp, and nil where a purge has killed it. kept tells that o comes
// from the cache, not from outside. It is called concurrently and does no I/O.
type Judge func(o *storage.Object, kept bool) *storage.Object

// Cache is a node's records: a bounded number in memory over those on disk. It
// implements Records and is safe for concurrent use.
type Cache struct {
	disk   Disk
	judge  Judge
	logger *slog.Logger
	memory recent

	mu sync.Mutex // orders publications; guards nothing that readers need
	// writes let the records of one object reach the disk one after the other,
	// the newest last.
	writes [64]sync.Mutex
	later  later
}

// NewCache returns a Cache of at most entries records in memory (0 = 65,536).
// judge is asked about every record that enters or leaves; nil = all count. run
// runs the writes to disk, which nobody waits for, each in a goroutine; false =
// it does not, and Publish writes itself. nil = it always does.
func NewCache(disk Disk, entries int, judge Judge, run func(func()) bool, logger *slog.Logger) *Cache {
	if judge == nil {
		judge = func(o *storage.Object, _ bool) *storage.Object { return o }
	}
	if entries <= 0 {
		entries = 1 << 16
	}
	return &Cache{
		disk: disk, judge: judge, logger: logger,
		memory: newRecent(entries),
		later:  later{run: run, pending: make(map[storage.ObjectID]*write)},
	}
}

// Record returns what is kept of object id, nil when nothing is that counts.
func (c *Cache) Record(id storage.ObjectID) *storage.Object {
	o, ok := c.memory.get(id)
	if !ok {
		var err error
		if o, err = c.disk.Record(id); err != nil {
			return nil
		}
	}
	now := c.judge(o, true)
	switch {
	case now == nil:
		return nil
	case !ok:
		if kept, found, _ := c.memory.part(id).PeekOrAdd(id, now); found {
			return c.judge(kept, true)
		}
	case now != o:
		c.mu.Lock()
		if kept, found := c.memory.peek(id); found && kept == o {
			c.memory.add(id, now)
		}
		c.mu.Unlock()
	}
	return now
}

// Registration returns the registration of the record of id that is in memory, 0
// when none is.
func (c *Cache) Registration(id storage.ObjectID) uint64 {
	if o, ok := c.memory.peek(id); ok {
		return o.Registration
	}
	return 0
}

// Peek returns the record of id that is in memory, whether or not it counts;
// nil when none is. It reads no drive, and counts as no use.
func (c *Cache) Peek(id storage.ObjectID) *storage.Object {
	o, _ := c.memory.peek(id)
	return o
}

// Known returns the objects whose records are in memory.
func (c *Cache) Known() []storage.ObjectID { return c.memory.keys() }

// Publish keeps o, unless it does not count or a record with a newer
// registration is kept already, and returns what is kept then; nil = nothing
// that counts. What o takes the place of is among its earlier versions then. It
// does not wait for the drive. A drive that cannot take the
// record costs its being there after a restart, nothing else.
func (c *Cache) Publish(o *storage.Object) *storage.Object {
	id := o.ID
	old := c.Record(id) // warms the memory, so that the lock covers no read
	if o = c.judge(o, false); o == nil {
		return old
	}
	c.mu.Lock()
	if now, ok := c.memory.get(id); ok {
		old = c.judge(now, true)
	}
	if old != nil && newer(old, o) {
		c.mu.Unlock()
		return old
	}
	o = o.After(old)
	c.memory.add(id, o)
	c.mu.Unlock()
	if old != nil && sameOnDisk(old, o) {
		return o
	}
	c.write(o)
	return c.judge(o, true)
}

// Forget drops what is kept of object id and does not count any more, in memory
// and on disk.
func (c *Cache) Forget(id storage.ObjectID) {
	w := &c.writes[int(id[0])%len(c.writes)]
	w.Lock()
	defer w.Unlock()
	c.forgetMemory(id)
	o, err := c.disk.Record(id)
	if err != nil || c.judge(o, true) != nil {
		return
	}
	if err := c.disk.DropRecord(id); err != nil {
		c.logger.Warn("purged record stays on disk", "object", id.String(), "error", err)
	}
}

// ForgetDead drops from memory all that does not count any more.
func (c *Cache) ForgetDead() {
	for _, id := range c.memory.keys() {
		c.forgetMemory(id)
	}
}

func (c *Cache) forgetMemory(id storage.ObjectID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if o, ok := c.memory.peek(id); ok && c.judge(o, true) == nil {
		c.memory.remove(id)
	}
}

// newer reports whether a is to be kept rather than b, both of which count
// here: by the purge that one of them knows of and the other does not, then by
// the home's registration counter, never by clock, but for one and the same
// registration confirmed again later.
func newer(a, b *storage.Object) bool {
	if a.Version.Mark != b.Version.Mark && (a.Stamp.Newer(b.Stamp) || b.Stamp.Newer(a.Stamp)) {
		return a.Stamp.Newer(b.Stamp)
	}
	if a.Registration != b.Registration {
		return a.Registration > b.Registration
	}
	return a.ValidatedAt.Add(a.FreshFor).After(b.ValidatedAt.Add(b.FreshFor))
}

// sameOnDisk reports whether b says nothing that a restart would need to know
// beyond a.
func sameOnDisk(a, b *storage.Object) bool {
	return a.Registration == b.Registration && a.Stamp.Cluster == b.Stamp.Cluster &&
		a.Version.ID() == b.Version.ID() && a.Whole == b.Whole && a.ValidatedAt.Equal(b.ValidatedAt) && len(a.Past) == len(b.Past)
}
