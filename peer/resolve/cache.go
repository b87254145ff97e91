package resolve

import (
	"log/slog"
	"sync"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/mccd/mccd/storage"
)

// Disk keeps records over restarts.
type Disk interface {
	// Record returns what is kept of object id, or an error when nothing is.
	Record(id storage.ObjectID) (*storage.Object, error)
	// PutRecord keeps o in place of what was kept.
	PutRecord(o *storage.Object) error
}

// Cache is a node's records: a bounded number in memory over those on disk. It
// implements Records and is safe for concurrent use.
type Cache struct {
	disk   Disk
	logger *slog.Logger
	memory *lru.Cache[storage.ObjectID, *storage.Object]
	// before holds, by object, the record of the version before the present
	// one, for downloads that began with it.
	before *lru.Cache[storage.ObjectID, *storage.Object]

	mu sync.Mutex // orders publications; guards nothing that readers need
	// writes let the records of one object reach the disk one after the other,
	// the newest last.
	writes [64]sync.Mutex
}

// NewCache returns a Cache of at most entries records in memory (0 = 65,536).
func NewCache(disk Disk, entries int, logger *slog.Logger) *Cache {
	if entries <= 0 {
		entries = 1 << 16
	}
	memory, err := lru.New[storage.ObjectID, *storage.Object](entries)
	if err != nil {
		panic(err) // only a size below 1 is refused
	}
	before, err := lru.New[storage.ObjectID, *storage.Object](max(1, entries/8))
	if err != nil {
		panic(err)
	}
	return &Cache{disk: disk, logger: logger, memory: memory, before: before}
}

// Record returns what is kept of object id, nil when nothing is.
func (c *Cache) Record(id storage.ObjectID) *storage.Object {
	if o, ok := c.memory.Get(id); ok {
		return o
	}
	o, err := c.disk.Record(id)
	if err != nil {
		return nil
	}
	if kept, ok, _ := c.memory.PeekOrAdd(id, o); ok {
		return kept
	}
	return o
}

// Registration returns the registration of the record of id that is in memory, 0
// when none is.
func (c *Cache) Registration(id storage.ObjectID) uint64 {
	if o, ok := c.memory.Peek(id); ok {
		return o.Registration
	}
	return 0
}

// Known returns the objects whose records are in memory.
func (c *Cache) Known() []storage.ObjectID { return c.memory.Keys() }

// Before returns the record of the version of id that was current before the
// present one, nil when it is not known.
func (c *Cache) Before(id storage.ObjectID) *storage.Object {
	o, _ := c.before.Get(id)
	return o
}

// Publish keeps o, unless a record with a newer registration is kept already,
// and returns what is kept then. A drive that cannot take the record costs its
// being there after a restart, nothing else.
func (c *Cache) Publish(o *storage.Object) *storage.Object {
	old := c.Record(o.ID) // warms the memory, so that the lock covers no read
	c.mu.Lock()
	if now, ok := c.memory.Get(o.ID); ok {
		old = now
	}
	if old != nil && newer(old, o) {
		c.mu.Unlock()
		return old
	}
	c.memory.Add(o.ID, o)
	if old != nil && old.Version.ID() != o.Version.ID() {
		c.before.Add(o.ID, old)
	}
	c.mu.Unlock()
	if old != nil && sameOnDisk(old, o) {
		return o
	}
	c.store(o.ID)
	return o
}

// store puts the present record of id on disk.
func (c *Cache) store(id storage.ObjectID) {
	w := &c.writes[int(id[0])%len(c.writes)]
	w.Lock()
	defer w.Unlock()
	o, ok := c.memory.Peek(id)
	if !ok {
		return // pushed out meanwhile: the next publication stores it
	}
	if err := c.disk.PutRecord(o); err != nil {
		c.logger.Warn("record not kept on disk", "object", id.String(), "error", err)
	}
}

// newer reports whether a is to be kept rather than b: by purge index, then by
// the home's registration counter, never by clock, but for one and the same
// registration confirmed again later.
func newer(a, b *storage.Object) bool {
	if a.PurgeIndex != b.PurgeIndex {
		return a.PurgeIndex > b.PurgeIndex
	}
	if a.Registration != b.Registration {
		return a.Registration > b.Registration
	}
	return a.ValidatedAt.Add(a.FreshFor).After(b.ValidatedAt.Add(b.FreshFor))
}

// sameOnDisk reports whether b says nothing that a restart would need to know
// beyond a.
func sameOnDisk(a, b *storage.Object) bool {
	return a.Registration == b.Registration && a.PurgeIndex == b.PurgeIndex &&
		a.Version.ID() == b.Version.ID() && a.Whole == b.Whole && a.ValidatedAt.Equal(b.ValidatedAt)
}
