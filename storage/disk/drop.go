package disk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/mccd/mccd/storage"
)

// EachRecord calls yield for each record on the drives, until it returns false;
// of several drives' records of one object for each. It reads one file per
// record. What cannot be read is removed: nobody can judge it.
func (s *Store) EachRecord(ctx context.Context, yield func(*storage.Object) bool) error {
	for _, d := range s.drives() {
		if !d.reachable() {
			continue // judged when it is back
		}
		var ids []storage.ObjectID
		err := s.eachFile(ctx, OpRecord, filepath.Join(d.path, "records"), func(i Info) {
			if id, ok := parseRecordName(i.Name); ok {
				ids = append(ids, id)
			}
		})
		if err != nil {
			return fmt.Errorf("list records of drive %s: %w", d.path, err)
		}
		for _, id := range ids {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			b, err := d.readSmall(OpRecord, d.recordPath(recordName(id)))
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil && !errors.Is(err, errDamaged) {
				return fmt.Errorf("read record on drive %s: %w", d.path, err)
			}
			o, _, err := decodeRecord(b)
			if err != nil || o.ID != id {
				s.counts.damaged.Add(1)
				if err := s.DropRecord(id); err != nil {
					return err
				}
				continue
			}
			if !yield(o) {
				return nil
			}
		}
	}
	return nil
}

// DropRecord removes what is kept of an object's record, on all drives.
func (s *Store) DropRecord(id storage.ObjectID) error {
	defer s.latchRecord(id)()
	var errs []error
	for _, d := range s.drives() {
		if !d.reachable() {
			continue // judged when it is back
		}
		s.removeRecord(d, id)
		if n := s.recordCharge(d, id); n != 0 {
			errs = append(errs, fmt.Errorf("drop record %s on drive %s: it stays", id, d.path))
		}
	}
	return errors.Join(errs...)
}

// DropChunk removes what is held under key, unless spare, if not nil, reports
// true of its version. Those who have the chunk open keep its bytes. It waits,
// until ctx ends, while the chunk is being made, repaired or evicted.
func (s *Store) DropChunk(ctx context.Context, key storage.ChunkKey, spare func(storage.Version) bool) error {
	if spare != nil {
		c, err := s.Lookup(key)
		if errors.Is(err, ErrNotHeld) {
			return nil
		}
		if err != nil {
			return err
		}
		spared := spare(c.Version())
		c.Release()
		if spared {
			return nil
		}
	}
	if err := s.dropLeft(key); err != nil {
		return err
	}
	sh := s.shard(key)
	for {
		sh.mu.Lock()
		if l := sh.busy[key]; l != nil {
			sh.mu.Unlock()
			select {
			case <-l:
				continue
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		e := sh.index[key]
		if e != nil && e.drive != nil && !e.drive.reachable() {
			s.forgetEntry(sh, e) // judged when it is back
			e = nil
		}
		if e == nil {
			sh.mu.Unlock()
			return nil
		}
		sh.latch(key)
		c := e.chunk
		idle := c != nil && c.refs == 0
		if idle {
			sh.idle.remove(c)
		}
		e.chunk = nil
		delete(sh.index, key)
		sh.mu.Unlock()
		err := s.dropFiles(sh, e)
		switch {
		case idle:
			s.closeChunk(c)
		case err != nil && c != nil:
			c.retire() // its name stays, so its file may be opened again
		}
		sh.unlatch(key)
		return err
	}
}

// dropFiles takes away the names of e's file and of that which it stands in
// for. The caller holds the key's latch; e is in no index any more.
func (s *Store) dropFiles(sh *shard, e *entry) error {
	var errs []error
	for _, held := range []*entry{e, e.under} {
		if held == nil {
			continue
		}
		if held.drive != nil && !held.drive.reachable() {
			sh.mu.Lock()
			s.forgetEntry(sh, held)
			sh.mu.Unlock()
			continue
		}
		if held.drive != nil {
			err := s.fs.Remove(OpDiscard, chunkPath(held.drive.path, held.key))
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				held.drive.fault(err, false)
				errs = append(errs, fmt.Errorf("drop chunk %s: %w", held.key, err))
				sh.mu.Lock()
				sh.index[held.key] = held
				sh.mu.Unlock()
				continue
			}
		}
		s.drop(sh, held)
	}
	return errors.Join(errs...)
}
