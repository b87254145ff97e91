package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"

	"github.com/mccd/mccd/storage"
)

// litter is what was to go from a drive that did not let it be removed. It
// counts until it is gone: removing it is tried again and again.
type litter struct {
	// turn is held by who tries to remove, a second one waits.
	turn  chan struct{}
	mu    sync.Mutex
	files []litterFile
}

// litterFile is one file of it.
type litterFile struct {
	path string
	// e is the file's entry, in no index any more; nil where it had none.
	e     *entry
	bytes int64
	// named tells that path is that of a chunk, which another file of the key
	// may have taken.
	named bool
}

// leave notes a file that could not be removed. What e counts goes over to it;
// a file without an entry begins to count bytes.
func (d *drive) leave(f litterFile) {
	if f.e != nil {
		f.bytes = f.e.bytes.Swap(0)
	} else {
		d.used.Add(f.bytes)
	}
	d.litter.mu.Lock()
	d.litter.files = append(d.litter.files, f)
	d.litter.mu.Unlock()
}

// discard removes a file that nobody is to find, now or later.
func (d *drive) discard(f litterFile) {
	if err := d.s.fs.Remove(OpDiscard, f.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.leave(f)
	}
}

// isLitter reports whether the file of path is to go.
func (d *drive) isLitter(path string) bool {
	d.litter.mu.Lock()
	defer d.litter.mu.Unlock()
	return slices.ContainsFunc(d.litter.files, func(f litterFile) bool { return f.path == path })
}

// pickUp tries again to remove what is left on d: all of it, or what is named
// by key. It returns how many files of these stay.
func (s *Store) pickUp(d *drive, key *storage.ChunkKey) int {
	d.litter.turn <- struct{}{}
	defer func() { <-d.litter.turn }()
	d.litter.mu.Lock()
	files := d.litter.files
	d.litter.files = nil
	d.litter.mu.Unlock()
	if len(files) == 0 {
		return 0
	}
	stay := 0
	files = slices.DeleteFunc(files, func(f litterFile) bool {
		if key != nil && (!f.named || f.e.key != *key) {
			return false
		}
		if s.removeLeft(d, f) {
			return true
		}
		stay++
		return false
	})
	d.litter.mu.Lock()
	d.litter.files = append(d.litter.files, files...)
	d.litter.mu.Unlock()
	return stay
}

// removeLeft reports whether f is gone.
func (s *Store) removeLeft(d *drive, f litterFile) bool {
	if f.named {
		sh := s.shard(f.e.key)
		sh.mu.Lock()
		cur := sh.index[f.e.key]
		switch {
		case sh.busy[f.e.key] != nil:
			sh.mu.Unlock()
			return false
		case cur != nil && (cur.drive == d || cur.under != nil && cur.under.drive == d):
			sh.mu.Unlock() // another file has its name, which removed it, or it is held again
			s.pickedUp(d, f)
			return true
		}
		sh.latch(f.e.key)
		sh.mu.Unlock()
		defer sh.unlatch(f.e.key)
	}
	if err := s.fs.Remove(OpDiscard, f.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.fault(err, false)
		return false
	}
	if f.named {
		s.removed(s.shard(f.e.key), f.e.key, d)
	}
	s.pickedUp(d, f)
	return true
}

// pickedUp gives back what f counted, as soon as nobody has it open.
func (s *Store) pickedUp(d *drive, f litterFile) {
	if f.e == nil {
		d.credit(f.bytes)
		return
	}
	sh := s.shard(f.e.key)
	sh.mu.Lock()
	f.e.bytes.Add(f.bytes)
	back := f.e.closed()
	sh.mu.Unlock()
	if back {
		s.giveBack(f.e)
	}
}

// dropLeft removes what is left of a chunk on any drive: a purge must not
// leave it for the next start to find.
func (s *Store) dropLeft(key storage.ChunkKey) error {
	for _, d := range s.drives() {
		if s.pickUp(d, &key) > 0 {
			return fmt.Errorf("drop chunk %s: a former file of it stays on drive %s", key, d.path)
		}
	}
	return nil
}
