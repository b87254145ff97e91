package disk

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/mccd/mccd/storage"
)

// PutRecord stores an object's record in place of the one that is there:
// readers find the old one or the new one, whole. The object's query is never
// stored. It fails when no drive takes it; nothing else depends on that.
func (s *Store) PutRecord(o *storage.Object) error {
	b, err := encodeRecord(o, s.now())
	if err != nil {
		return fmt.Errorf("put record %s: %w", o.ID, err)
	}
	if len(b) > maxSmall {
		return fmt.Errorf("put record %s, %d bytes: %w", o.ID, len(b), errTooLong)
	}
	defer s.latchRecord(o.ID)()
	cause := errors.New("no drive can be written")
	stored := false
	for _, d := range s.ranked(idHash(o.ID)) {
		switch {
		case !d.reachable():
		case stored:
			s.removeRecord(d, o.ID)
		case d.accepts():
			if err := s.putRecord(d, o.ID, b); err != nil {
				d.fault(err, false)
				cause = err
				continue
			}
			stored = true
		}
	}
	if !stored {
		return fmt.Errorf("put record %s: %w", o.ID, cause)
	}
	return nil
}

func (s *Store) putRecord(d *drive, id storage.ObjectID, b []byte) error {
	n := charge(int64(len(b)))
	if err := s.reserve(d, n); err != nil {
		return err
	}
	old := s.recordCharge(d, id)
	d.foundRecord(id, old)
	if err := d.writeSmall(OpRecord, recordName(id), d.recordPath(recordName(id)), b); err != nil {
		// What failed at its end may be there all the same; where that cannot be
		// seen the larger of the two counts.
		now, cerr := s.chargeOfRecord(d, id)
		if cerr != nil {
			now = max(n, old)
		}
		d.credit(n + old - now)
		return err
	}
	d.credit(old)
	return nil
}

// Record returns the record stored last of an object; ErrNotHeld when there is
// none, or none that is whole. It costs one open per drive and is not cached
// here.
func (s *Store) Record(id storage.ObjectID) (*storage.Object, error) {
	var best *storage.Object
	var at time.Time
	for _, d := range s.drives() {
		if !d.readable() {
			continue
		}
		name := d.recordPath(recordName(id))
		got, ok := await(d, func() small { b, err := d.readSmall(OpRecord, name); return small{b, err} }, func(small) {})
		b, err := got.b, got.err
		if !ok {
			continue
		}
		if err != nil {
			if !errors.Is(err, errDamaged) {
				d.fault(err, true)
			}
			continue
		}
		o, stored, err := decodeRecord(b)
		if err != nil || o.ID != id {
			s.counts.damaged.Add(1)
			continue
		}
		if best == nil || stored.After(at) {
			best, at = o, stored
		}
	}
	if best == nil {
		return nil, ErrNotHeld
	}
	return best, nil
}

// small is a small file's content, or why it was not read.
type small struct {
	b   []byte
	err error
}

// recordCharge returns what the record on d counts against its limit, 0 where
// that cannot be seen.
func (s *Store) recordCharge(d *drive, id storage.ObjectID) int64 {
	n, _ := s.chargeOfRecord(d, id)
	return n
}

// chargeOfRecord is recordCharge with the reason why it cannot be seen.
func (s *Store) chargeOfRecord(d *drive, id storage.ObjectID) (int64, error) {
	f, err := s.fs.Open(OpRecord, d.recordPath(recordName(id)), os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	info, err := s.fs.Stat(OpRecord, f)
	if err != nil {
		return 0, err
	}
	return charge(info.Size), nil
}

// removeRecord removes a record from d if it is there. The caller holds the
// record's latch.
func (s *Store) removeRecord(d *drive, id storage.ObjectID) {
	n := s.recordCharge(d, id)
	if n == 0 {
		return
	}
	d.foundRecord(id, n)
	if err := s.fs.Remove(OpRecord, d.recordPath(recordName(id))); err != nil {
		d.fault(err, false)
		return
	}
	d.credit(n)
}

// latchRecord keeps other writers of a record out until the returned function
// is called.
func (s *Store) latchRecord(id storage.ObjectID) func() {
	sh := &s.shards[uint(id[0])%shardCount]
	for {
		sh.mu.Lock()
		l := sh.records[id]
		if l == nil {
			l = make(chan struct{})
			sh.records[id] = l
			sh.mu.Unlock()
			return func() {
				sh.mu.Lock()
				delete(sh.records, id)
				sh.mu.Unlock()
				close(l)
			}
		}
		sh.mu.Unlock()
		<-l
	}
}

// sweepRecords removes the records that were not stored anew since before and
// of whose objects no chunk is held.
func (s *Store) sweepRecords(ctx context.Context, d *drive, before time.Time) {
	if s.scans.Load() != 0 {
		return // what is held is not known yet
	}
	var old []storage.ObjectID
	err := s.eachFile(ctx, OpRecord, filepath.Join(d.path, "records"), func(i Info) {
		if id, ok := parseRecordName(i.Name); ok && i.Used.Before(before) {
			old = append(old, id)
		}
	})
	if err != nil {
		if ctx.Err() == nil && !errors.Is(err, fs.ErrNotExist) {
			d.fault(err, true)
		}
		return
	}
	if len(old) == 0 {
		return
	}
	held := map[storage.ObjectID]bool{}
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		for key := range sh.index {
			held[key.Object] = true
		}
		sh.mu.Unlock()
	}
	for _, id := range old {
		if ctx.Err() == nil && !held[id] {
			done := s.latchRecord(id)
			s.removeRecord(d, id)
			done()
		}
	}
}

func idHash(id storage.ObjectID) uint64 { return binary.LittleEndian.Uint64(id[:]) }
