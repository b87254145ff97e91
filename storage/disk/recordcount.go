package disk

import (
	"sync"

	"github.com/mccd/mccd/storage"
)

// recordCount takes the records that a former process left out of a drive's
// estimate, each once: when the start scan finds it, or when it is written or
// removed before. The zero value is ready.
type recordCount struct {
	mu   sync.Mutex
	done bool
	seen map[storage.ObjectID]struct{} // nil when done
}

// foundRecord counts a record of n bytes, 0 for none, unless it was met before. It is
// called before the record changes.
func (d *drive) foundRecord(id storage.ObjectID, n int64) {
	t := &d.recordCount
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.done {
		return
	}
	if _, ok := t.seen[id]; ok {
		return
	}
	if t.seen == nil {
		t.seen = map[storage.ObjectID]struct{}{}
	}
	t.seen[id] = struct{}{}
	d.chargeFound(n)
}

// counted reports whether all records were found.
func (t *recordCount) counted() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.done
}

func (t *recordCount) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.done, t.seen = true, nil
}
