package disk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"path/filepath"
	"time"

	"github.com/mccd/mccd/storage"
)

// scan enters all that a former process left on d into the index. Chunks that
// were opened meanwhile are in it already. After an error it is to be tried
// again: until then Lookup asks the drives, and the estimate stands.
func (s *Store) scan(ctx context.Context, d *drive) error {
	begun := s.now()
	d.mu.Lock()
	forgotten := d.forgotten
	d.mu.Unlock()
	d.scanning.Store(true)
	defer s.forgetRemoved(d)
	if !d.recordCount.counted() {
		s.loadIndex(ctx, d)
	}
	var strays, foreign int64
	err := s.eachFile(ctx, OpScan, filepath.Join(d.path, "chunks"), func(i Info) {
		key, ok := parseName(i.Name)
		if !ok {
			strays++
			foreign += i.Bytes
			return
		}
		s.found(ctx, d, key, i)
	})
	if err == nil && !d.recordCount.counted() {
		err = s.eachFile(ctx, OpScan, filepath.Join(d.path, "records"), func(i Info) {
			if id, ok := parseRecordName(i.Name); ok {
				d.foundRecord(id, charge(i.Size))
			}
		})
		if err == nil {
			d.recordCount.end()
		}
	}
	if err == nil {
		err = d.cleanAgain()
	}
	if err == nil {
		s.lookForTold(ctx, d)
	}
	if err != nil {
		if ctx.Err() == nil {
			d.fault(err, true)
		}
		return fmt.Errorf("scan drive %s: %w", d.path, err)
	}
	d.mu.Lock()
	if d.out.Load()&^outRemoved != 0 || d.forgotten != forgotten {
		d.mu.Unlock()
		return errOut // what was forgotten meanwhile is to be found too
	}
	rest := d.estimate
	d.estimate = 0
	d.mu.Unlock()
	d.used.Add(foreign - d.foreign.Swap(foreign))
	d.used.Add(-rest)
	s.log.Info("drive scanned", slog.String("drive", d.path), slog.Int64("chunks", d.chunks.Load()),
		slog.Int64("bytes", d.used.Load()), slog.Int64("strays", strays), slog.Duration("took", s.now().Sub(begun)))
	d.complete()
	d.wake()
	return nil
}

// complete notes that the index has all that d holds.
func (d *drive) complete() {
	if d.scanned.CompareAndSwap(false, true) && d.s.scans.Add(-1) == 0 {
		d.s.indexOnce.Do(func() { close(d.s.indexed) })
	}
}

// found enters one chunk file of a former process. It waits for who is opening,
// making or removing it: the estimate, which stands for the file till it is
// entered, ends with the scan.
func (s *Store) found(ctx context.Context, d *drive, key storage.ChunkKey, i Info) {
	sh := s.shard(key)
	e := &entry{key: key, drive: d}
	e.known(i)
	sh.mu.Lock()
	for l := sh.busy[key]; l != nil; l = sh.busy[key] {
		sh.mu.Unlock()
		select {
		case <-l:
		case <-ctx.Done():
			return
		}
		sh.mu.Lock()
	}
	cur := sh.index[key]
	switch {
	case sh.removed[place{key, d}]: // after it was listed
		sh.mu.Unlock()
		return
	case d.out.Load()&outRemoved != 0, cur != nil && (cur.drive == d || cur.under != nil && cur.under.drive == d):
		if cur != nil && cur.drive == d && !d.loading {
			cur.looked(i)
		}
		sh.mu.Unlock()
		return
	case cur == nil && d.isLitter(chunkPath(d.path, key)):
		sh.mu.Unlock() // it counts already, and is to go
		return
	case cur == nil:
		sh.index[key] = e
	case cur.drive == nil && cur.under == nil:
		cur.under = e
	case cur.drive == nil && !cur.under.drive.reachable():
		s.forgetEntry(sh, cur.under)
		cur.under = e
	case cur.drive != nil && !cur.drive.reachable():
		s.forgetEntry(sh, cur)
		sh.index[key] = e
	default:
		// A second copy, from a time when one of the drives could not be read.
		sh.latch(key)
		sh.mu.Unlock()
		path := chunkPath(d.path, key)
		if err := s.fs.Remove(OpDiscard, path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			d.fault(err, false)
			d.chargeFound(chargeOf(i))
			d.leave(litterFile{path: path, e: e, named: true})
		}
		sh.unlatch(key)
		return
	}
	sh.mu.Unlock()
	d.chargeFound(chargeOf(i))
	d.chunks.Add(1)
	s.enlist(e, true)
}

// chargeOf is what a chunk file counts: header and table also where no block
// was written yet, since the first one brings them.
func chargeOf(i Info) int64 { return max(i.Bytes, headCharge) }

// place is a chunk's file on a drive.
type place struct {
	key storage.ChunkKey
	d   *drive
}

// removed notes that d has no file of key any more, for a scan that goes on and
// may have listed it already. The caller holds key's latch.
func (s *Store) removed(sh *shard, key storage.ChunkKey, d *drive) {
	if d == nil || !d.scanning.Load() {
		return
	}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.removed == nil {
		sh.removed = map[place]bool{}
	}
	sh.removed[place{key, d}] = true
}

// forgetRemoved ends what removed noted of d.
func (s *Store) forgetRemoved(d *drive) {
	d.scanning.Store(false)
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		maps.DeleteFunc(sh.removed, func(p place, _ bool) bool { return p.d == d })
		sh.mu.Unlock()
	}
}

// eachFile calls yield for the files in the directories under root.
func (s *Store) eachFile(ctx context.Context, op Op, root string, yield func(Info)) error {
	var dirs []string
	err := s.fs.List(op, root, func(i Info) bool {
		if i.Dir {
			dirs = append(dirs, i.Name)
		}
		return true
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, dir := range dirs {
		err := s.fs.List(op, filepath.Join(root, dir), func(i Info) bool {
			if !i.Dir {
				yield(i)
			}
			return ctx.Err() == nil
		})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// touchFile writes the last use of a file down once it is an hour old, so that
// idleness outlives a restart.
func (s *Store) touchFile(e *entry) {
	used := e.used.Load()
	if used < e.touched.Load()+60 || !e.drive.writable() {
		return
	}
	e.touched.Store(used)
	if err := s.fs.Touch(OpTouch, chunkPath(e.drive.path, e.key), time.Unix(int64(used)*60, 0)); err != nil {
		e.drive.fault(err, false)
	}
}
