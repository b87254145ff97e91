package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"
)

const (
	// maxRoom is what may be written between two looks at the free space.
	maxRoom = 256 << 20
	// minInodes stay free on a file system that counts them; fills by
	// themselves evict when half of them are used.
	minInodes = 1024
	// maxInodes is how many files may be made between two looks.
	maxInodes = 4096
	// evictRounds bounds how many files one turn of the background pushes out,
	// reserveRounds one reservation.
	evictRounds, reserveRounds = 4096, 64
	// maxAhead bounds what is kept free ahead of need.
	maxAhead = maxRoom / 4
)

// ahead is what is kept free of the limit, and of the file system beyond what
// stays free there, before it is needed: less would let fills evict by
// themselves, more is room that holds nothing.
func (d *drive) ahead() int64 { return min(d.limit/64, maxAhead) }

// high and low are the bounds of eviction ahead of need: above high the
// background evicts down to low.
func (d *drive) high() int64 { return d.limit - d.ahead() }
func (d *drive) low() int64  { return d.limit - 2*d.ahead() }

// short reports whether the file system has less room, or fewer inodes, than is
// to be kept ahead of need.
func (d *drive) short() bool { return d.room.Load() < d.ahead() || d.inodes.Load() <= 0 }

// reserve counts n bytes against the limit before they are written, evicting
// what it takes; errNoRoom when all that is held is in use. So the limit holds
// at all times.
func (s *Store) reserve(d *drive, n int64) error {
	for range reserveRounds {
		used := d.used.Load()
		if used+n <= d.limit && d.hasRoom(n) {
			if !d.used.CompareAndSwap(used, used+n) {
				continue
			}
			d.room.Add(-n)
			if used+n > d.high() || d.room.Load() < d.ahead() || used+n-d.saved.Load() > d.drift()/2 {
				d.wake()
			}
			d.keepTotals()
			return nil
		}
		if !s.evictOne(d) {
			break
		}
	}
	if d.used.Load()+n <= d.limit && !d.hasRoom(n) {
		d.fault(fmt.Errorf("file system has no more than is to stay free: %w", syscall.ENOSPC), false)
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

// hasRoom reports whether the file system has n bytes, and inodes, more than
// must stay free; it asks the system only when the last answer is used up.
func (d *drive) hasRoom(n int64) bool {
	if d.room.Load() >= n && d.inodes.Load() > -minInodes/2 {
		return true
	}
	d.refreshRoom()
	return d.room.Load() >= n && d.inodes.Load() > -minInodes/2
}

// refreshRoom asks for the free space. A drive that does not answer counts as
// having some: the write will tell.
func (d *drive) refreshRoom() {
	sp, err := d.s.fs.Space(OpSpace, d.path)
	if err != nil {
		d.room.Store(maxRoom)
		d.inodes.Store(maxInodes)
		return
	}
	keep := d.s.cfg.MinFree
	if keep == 0 {
		keep = min(1<<30, sp.Total/50)
	}
	d.weigh(sp.Free - max(keep, 0))
	inodes := int64(maxInodes)
	if sp.Inodes > 0 {
		inodes = min(maxInodes, sp.FreeInodes-min(minInodes, sp.Inodes/50))
	}
	d.room.Store(min(maxRoom, sp.Free-max(keep, 0)))
	d.inodes.Store(inodes)
}

// evict removes e's file unless it is in use.
func (s *Store) evict(e *entry) bool {
	d, sh := e.drive, s.shard(e.key)
	sh.mu.Lock()
	if cur := sh.index[e.key]; cur != e && (cur == nil || cur.under != e) {
		sh.mu.Unlock()
		return false
	}
	idle := e.chunk != nil && e.chunk.refs == 0 && e.open == 1
	if sh.index[e.key] != e || sh.busy[e.key] != nil || e.open > 0 && !idle {
		sh.mu.Unlock()
		return false
	}
	sh.latch(e.key)
	defer sh.unlatch(e.key)
	c := e.chunk
	if c != nil {
		sh.idle.remove(c)
		c.remember()
	}
	e.chunk = nil
	delete(sh.index, e.key)
	sh.mu.Unlock()

	slot := d.begin()
	err := s.fs.Remove(OpEvict, chunkPath(d.path, e.key))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		err = s.fs.Remove(OpEvict, chunkPath(d.path, e.key)) // it may be gone all the same
	}
	d.end(slot)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.closeChunk(c)
		d.fault(err, false)
		sh.mu.Lock()
		sh.index[e.key] = e
		sh.mu.Unlock()
		return false
	}
	s.drop(sh, e)
	s.closeChunk(c)
	d.inodes.Add(1)
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
