package disk

import (
	"errors"
	"io/fs"
	"path/filepath"
)

const (
	// maxRoom is what may be written between two looks at the free space.
	maxRoom = 256 << 20
	// minInodes stay free on a file system that counts them.
	minInodes = 1024
	// evictRounds bounds how many files one reservation pushes out.
	evictRounds = 4096
)

// high and low are the bounds of eviction ahead of need: above high the
// background evicts down to low.
func (d *drive) high() int64 { return d.limit - d.limit/32 }
func (d *drive) low() int64  { return d.limit - d.limit/16 }

// reserve counts n bytes against the limit before they are written, evicting
// what it takes; errNoRoom when all that is held is in use. So the limit holds
// at all times.
func (s *Store) reserve(d *drive, n int64) error {
	for range evictRounds {
		used := d.used.Load()
		if used+n <= d.limit && d.hasRoom(n) {
			if !d.used.CompareAndSwap(used, used+n) {
				continue
			}
			d.room.Add(-n)
			if used+n > d.high() || used+n-d.saved.Load() > d.drift()/2 {
				d.wake()
			}
			d.keepTotals()
			return nil
		}
		if !s.evictOne(d) {
			return errNoRoom
		}
	}
	return errNoRoom
}

func (d *drive) credit(n int64) { d.used.Add(-n); d.room.Add(n) }

func (d *drive) wake() {
	select {
	case d.kick <- struct{}{}:
	default:
	}
}

// hasRoom reports whether the file system has n bytes more than must stay
// free; it asks the system only when the last answer is used up.
func (d *drive) hasRoom(n int64) bool {
	if d.room.Load() >= n {
		return true
	}
	d.refreshRoom()
	return d.room.Load() >= n
}

// refreshRoom asks for the free space. A drive that does not answer counts as
// having some: the write will tell.
func (d *drive) refreshRoom() {
	sp, err := d.s.fs.Space(OpSpace, d.path)
	if err != nil {
		d.room.Store(maxRoom)
		return
	}
	keep := d.s.cfg.MinFree
	if keep == 0 {
		keep = min(1<<30, sp.Total/50)
	}
	room := min(maxRoom, sp.Free-max(keep, 0))
	if sp.Inodes > 0 && sp.FreeInodes < min(minInodes, sp.Inodes/50) {
		room = 0
	}
	d.room.Store(room)
}

// evictOne removes one file that nobody uses; false when there is none.
func (s *Store) evictOne(d *drive) bool {
	for range d.policy.size() + 1 {
		if State(d.state.Load()) != StateFull && !d.writable() {
			return false
		}
		e := d.policy.victim()
		if e == nil {
			return false
		}
		if s.evict(e, false) {
			return true
		}
	}
	return false
}

// evict removes e's file unless it is in use. An entry that was taken out of
// the policy and may be evicted later is put back.
func (s *Store) evict(e *entry, inPolicy bool) bool {
	d, sh := e.drive, s.shard(e.key)
	sh.mu.Lock()
	if cur := sh.index[e.key]; cur != e && (cur == nil || cur.under != e) {
		sh.mu.Unlock()
		return false
	}
	idle := e.chunk != nil && e.chunk.refs == 0 && e.open == 1
	if sh.index[e.key] != e || sh.busy[e.key] != nil || e.open > 0 && !idle {
		sh.mu.Unlock()
		if !inPolicy {
			d.policy.putBack(e)
		}
		return false
	}
	sh.latch(e.key)
	defer sh.unlatch(e.key)
	c := e.chunk
	if c != nil {
		sh.idle.remove(c)
		e.verified = c.verified.load()
	}
	e.chunk = nil
	delete(sh.index, e.key)
	sh.mu.Unlock()

	err := s.fs.Remove(OpEvict, chunkPath(d.path, e.key))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.closeChunk(c)
		d.fault(err, false)
		sh.mu.Lock()
		sh.index[e.key] = e
		sh.mu.Unlock()
		if !inPolicy {
			d.policy.putBack(e)
		}
		return false
	}
	s.drop(sh, e)
	s.closeChunk(c)
	s.metrics.evicted(d)
	return true
}

// chargeFound counts a file of a former process: what the estimate had of it
// already, and the rest on top.
func (d *drive) chargeFound(n int64) {
	d.mu.Lock()
	m := min(d.estimate, n)
	d.estimate -= m
	d.mu.Unlock()
	d.used.Add(n - m)
}

func (d *drive) recordPath(name string) string {
	return filepath.Join(d.path, "records", name[:2], name)
}
