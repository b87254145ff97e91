package disk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/mccd/mccd/storage"
)

const (
	// movePasses is how often a drive is looked through for what is to move.
	movePasses = 4
	// moveRest is the pause between two passes: what is in use now may be free then.
	moveRest = 200 * time.Millisecond
	// movePatience is for how many ticks in all a drive that failed is waited for.
	movePatience = 120
	// letGo bounds how long RemoveDrive waits for the background work of a drive
	// that does not answer.
	letGo = 2 * time.Second
)

// Removal says how RemoveDrive lets go of a drive.
type Removal struct {
	// Drop lets go at once: what the drive holds stays on it and counts as not
	// held. Otherwise it moves to the other drives first, which evict for it what
	// is worth less.
	Drop bool
	// Progress is told the bytes moved and in all, by one goroutine; nil =
	// nobody is.
	Progress func(done, total int64)
}

// RemoveDrive lets go of the drive of path, after moving its content to the
// others at Config.MoveRate. Readers keep what they have open. It fails with
// ErrDrive when the drive is none of the store's, or the only one, and with
// ErrStays when something could not move: the drive is used on then.
func (s *Store) RemoveDrive(ctx context.Context, path string, how Removal) error {
	d := s.driveAt(path)
	if d == nil {
		return fmt.Errorf("remove drive %s: %w", path, ErrDrive)
	}
	if len(s.drives()) == 1 {
		return fmt.Errorf("remove drive %s: %w: it is the only one; add another first", path, ErrDrive)
	}
	if d.leaving.Swap(true) {
		return fmt.Errorf("remove drive %s: %w: it is being removed already", path, ErrDrive)
	}
	if how.Progress == nil {
		how.Progress = func(int64, int64) {}
	}
	if !how.Drop && d.reachable() {
		if err := s.empty(ctx, d, how.Progress); err != nil {
			d.leaving.Store(false)
			return fmt.Errorf("remove drive %s: %w", path, err)
		}
	}
	s.set.mu.Lock()
	if len(s.drives()) == 1 {
		s.set.mu.Unlock()
		d.leaving.Store(false)
		return fmt.Errorf("remove drive %s: %w: it is the only one left", path, ErrDrive)
	}
	s.set.swap(d, nil)
	s.set.mu.Unlock()
	s.detach(d)
	s.log.Info("drive removed", slog.String("drive", d.path), slog.Bool("dropped", how.Drop))
	return nil
}

// ReplaceDrive takes a drive in and lets go of that of the path old, whose
// content moves.
func (s *Store) ReplaceDrive(ctx context.Context, old string, with Drive, how Removal) error {
	if s.driveAt(old) == nil {
		return fmt.Errorf("replace drive %s: %w", old, ErrDrive)
	}
	if err := s.AddDrive(ctx, with); err != nil {
		return err
	}
	return s.RemoveDrive(ctx, old, how)
}

// detach ends all that goes on with a drive that is in the set no more.
func (s *Store) detach(d *drive) {
	answers := d.reachable() && State(d.state.Load()) == StateOK
	d.takeOut(outRemoved, errors.New("removed"))
	select {
	case <-d.work.quit():
	case <-time.After(letGo): // it ends when the drive answers
		answers = false
	}
	s.forgetAll(d)
	d.complete()
	if answers {
		d.dropIndex()
		_ = d.saveTotals(true) // for a later start; its state tells
	}
	d.unlock()
}

// empty moves all that d holds to the other drives.
func (s *Store) empty(ctx context.Context, d *drive, progress func(done, total int64)) error {
	for !d.scanned.Load() { // what it holds is not known yet
		if !pause(ctx, tick/10) {
			return context.Cause(ctx)
		}
	}
	// What moves was judged by d's stamp, not by that of the drive it comes to.
	if err := s.backPurged(); err != nil {
		return err
	}
	m := &moving{s: s, d: d, progress: progress, patience: movePatience}
	for range movePasses {
		if err := m.pass(ctx); err != nil {
			return err
		}
		if m.left == 0 {
			return nil
		}
		if !pause(ctx, moveRest) {
			return context.Cause(ctx)
		}
	}
	return fmt.Errorf("%w: %d chunks and records, %w", ErrStays, m.left, m.cause)
}

// moving is a drive's content on its way to the others.
type moving struct {
	s        *Store
	d        *drive
	progress func(done, total int64)
	done     int64
	left     int
	cause    error
	patience int
}

func (m *moving) pass(ctx context.Context) error {
	m.left, m.cause = 0, nil
	m.progress(m.done, m.done+m.d.used.Load())
	for i := range m.s.shards {
		for _, key := range m.s.shards[i].keysOf(m.d) {
			if err := m.readable(ctx); err != nil {
				return err
			}
			n, err := m.s.moveChunk(ctx, key, m.d)
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err != nil {
				m.left, m.cause = m.left+1, err
			}
			if err := m.rest(ctx, n); err != nil {
				return err
			}
		}
	}
	return m.records(ctx)
}

// readable waits until the drive may be read: many bad blocks in a row keep it
// from that for a while.
func (m *moving) readable(ctx context.Context) error {
	for ; !m.d.readable(); m.patience-- {
		if st, cause := m.d.status(); !m.d.reachable() || m.patience <= 0 {
			return fmt.Errorf("%w: the drive is %s: %w", ErrStays, st, cause)
		}
		if !pause(ctx, tick) {
			return context.Cause(ctx)
		}
	}
	return nil
}

// rest keeps the pace after n bytes.
func (m *moving) rest(ctx context.Context, n int64) error {
	if n == 0 {
		return nil
	}
	m.done += n
	m.progress(m.done, m.done+max(0, m.d.used.Load()))
	rate := m.s.cfg.MoveRate
	if rate > 0 && !pause(ctx, time.Duration(float64(n)/float64(rate)*float64(time.Second))) {
		return context.Cause(ctx)
	}
	return nil
}

// records moves the records, of which the latest of several drives counts.
func (m *moving) records(ctx context.Context) error {
	d := m.d
	var ids []storage.ObjectID
	err := m.s.eachFile(ctx, OpRecord, filepath.Join(d.path, "records"), func(i Info) {
		if id, ok := parseRecordName(i.Name); ok {
			ids = append(ids, id)
		}
	})
	if err != nil {
		return fmt.Errorf("list records of drive %s: %w", d.path, err)
	}
	for _, id := range ids {
		n, err := m.s.moveRecord(d, id)
		if err != nil {
			m.left, m.cause = m.left+1, err
		}
		if err := m.rest(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

// moveRecord moves the record of id off d and returns its size.
func (s *Store) moveRecord(d *drive, id storage.ObjectID) (int64, error) {
	defer s.latchRecord(id)()
	b, err := d.readSmall(OpRecord, d.recordPath(recordName(id)))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	_, at, err := decodeRecord(b)
	if err != nil {
		s.removeRecord(d, id) // it counts for nothing
		return 0, nil
	}
	err = errNowhere
	for _, to := range s.ranked(idHash(id)) {
		if to == d || !to.accepts() {
			continue
		}
		if other, rerr := to.readSmall(OpRecord, to.recordPath(recordName(id))); rerr == nil {
			if _, stored, derr := decodeRecord(other); derr == nil && !stored.Before(at) {
				err = nil
				break
			}
		}
		if err = s.putRecord(to, id, b); err == nil {
			break
		}
		to.fault(err, false)
	}
	if err != nil {
		return 0, err
	}
	s.removeRecord(d, id)
	return charge(int64(len(b))), nil
}

// moveChunk moves the chunk of key from d to another drive and returns what it
// took there; 0 when d does not hold it any more.
func (s *Store) moveChunk(ctx context.Context, key storage.ChunkKey, d *drive) (int64, error) {
	sh := s.shard(key)
	for {
		sh.mu.Lock()
		e := sh.index[key]
		if e == nil || e.drive != d {
			sh.mu.Unlock()
			return 0, nil
		}
		if l := sh.busy[key]; l != nil {
			sh.mu.Unlock()
			select {
			case <-l:
				continue
			case <-ctx.Done():
				return 0, context.Cause(ctx)
			}
		}
		sh.latch(key)
		old := e.chunk
		if old != nil {
			sh.pin(old)
		}
		sh.mu.Unlock()
		n, err := s.moveLatched(sh, key, e, old)
		sh.unlatch(key)
		return n, err
	}
}

// moveLatched does the work of moveChunk under the key's latch, and gives old,
// the open chunk if there is one, back.
func (s *Store) moveLatched(sh *shard, key storage.ChunkKey, e *entry, old *Chunk) (int64, error) {
	if old == nil {
		c, err := s.openHeld(sh, key, e)
		if errors.Is(err, ErrNotHeld) {
			if !e.drive.readable() {
				return 0, errUnreadable
			}
			return 0, nil // it is gone, or no use to anybody
		}
		if err != nil {
			return 0, err
		}
		old = c
	}
	defer func() { s.closeChunk(s.unpin(sh, old)) }()
	n := e.bytes.Load()
	old.mu.Lock()
	if old.state.Load() == stateLive {
		old.state.Store(stateMoving)
	}
	old.mu.Unlock()
	c, err := s.replaceBy(sh, old, false)
	if err != nil {
		return 0, err
	}
	c.e.used.Store(e.used.Load())
	s.closeChunk(s.unpin(sh, c))
	return n, nil
}
