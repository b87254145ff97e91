package disk

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/mccd/mccd/storage"
)

// purgedNothing is what the file "purged" says on a drive that held nothing
// before the first purge was heard of.
const purgedNothing = "new\n"

// Purged returns the purges by which all that is kept was judged last, by
// SetPurged: the oldest of all drives, so that one that was away is judged
// anew, once it is back. blank tells that the drives are new and held nothing before.
func (s *Store) Purged() (stamp storage.Stamp, blank bool) {
	for _, d := range s.drives() {
		if d.reachable() && d.scanned.Load() {
			d.judging.Store(true)
		}
	}
	return s.oldestPurged()
}

func (s *Store) oldestPurged() (stamp storage.Stamp, blank bool) {
	blank = true
	for _, d := range s.drives() {
		if !d.reachable() {
			continue
		}
		at, isNew := d.purged()
		switch {
		case isNew:
		case blank:
			stamp, blank = at, false
		case at.Cluster != stamp.Cluster || at.Generation != stamp.Generation:
			return storage.Stamp{}, false
		case at.Index < stamp.Index:
			stamp = at
		}
	}
	return stamp, blank
}

// SetPurged notes on every drive that all that Keys and EachRecord told since
// Purged was judged by stamp. It fails where a drive does not take it; what that
// drive keeps is judged again then, as is what came with a drive meanwhile.
func (s *Store) SetPurged(stamp storage.Stamp) error {
	return s.setPurged(stamp, func(d *drive) bool { return d.judging.Load() })
}

// backPurged has all drives judged from the oldest of their stamps on, also if
// they are just being judged: what is on one may come to another.
func (s *Store) backPurged() error {
	stamp, blank := s.oldestPurged()
	if blank {
		return nil
	}
	return s.setPurged(stamp, func(d *drive) bool { d.judging.Store(false); return true })
}

func (s *Store) setPurged(stamp storage.Stamp, on func(*drive) bool) error {
	var errs []error
	for _, d := range s.drives() {
		if !d.reachable() || !on(d) {
			continue // it is judged when it is back
		}
		text := fmt.Sprintf("cluster %q\ngeneration %d\nindex %d\n", stamp.Cluster, stamp.Generation, stamp.Index)
		if err := d.savePurged(text); err != nil {
			d.fault(err, false)
			errs = append(errs, fmt.Errorf("note purges on drive %s: %w", d.path, err))
		}
	}
	return errors.Join(errs...)
}

func (d *drive) savePurged(text string) error {
	return d.writeSmall(OpIdent, "purged", filepath.Join(d.path, "purged"), []byte(text))
}

// purged returns the drive's stamp, or that it held nothing before. What cannot
// be read counts as the oldest.
func (d *drive) purged() (stamp storage.Stamp, isNew bool) {
	b, err := d.readSmall(OpIdent, filepath.Join(d.path, "purged"))
	if err != nil {
		return storage.Stamp{}, false
	}
	if string(b) == purgedNothing {
		return storage.Stamp{}, true
	}
	n, err := fmt.Sscanf(string(b), "cluster %q\ngeneration %d\nindex %d\n", &stamp.Cluster, &stamp.Generation, &stamp.Index)
	if err != nil || n != 3 {
		return storage.Stamp{}, false
	}
	return stamp, false
}
