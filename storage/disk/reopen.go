package disk

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"slices"
	"time"
)

// How often a drive that was missing at the start is tried.
const (
	firstReopen = 2 * time.Second
	lastReopen  = 30 * time.Second
)

// reopen tries to open a drive that was missing at the start, until it is there
// or ctx ends. The drive takes the place of d, which only stood for it.
func (s *Store) reopen(ctx context.Context, d *drive) {
	for wait := firstReopen; pause(ctx, wait); wait = min(2*wait, lastReopen) {
		opened, err := s.openDrive(Drive{Path: d.path, Size: d.limit})
		if err == nil && State(opened.state.Load()) != StateOK && !opened.identified {
			_, err = opened.status()
			opened.unlock()
		}
		if err != nil {
			d.mu.Lock()
			d.outCause = err
			d.mu.Unlock()
			continue
		}
		s.takePlace(d, opened)
		return
	}
}

// takePlace puts opened in the place of d, unless d was removed meanwhile.
func (s *Store) takePlace(d, opened *drive) {
	s.set.mu.Lock()
	defer s.set.mu.Unlock()
	if s.closed.Load() || s.set.run == nil || !slices.Contains(s.drives(), d) {
		opened.unlock()
		return
	}
	s.scans.Add(1)
	opened.late = true
	s.set.swap(d, opened)
	s.log.Info("drive is back", slog.String("drive", d.path))
}

// otherDrive takes in the drive that was found in d's directory in the place of
// d. What d held is gone with it.
func (s *Store) otherDrive(d *drive) error {
	d.unlock()
	opened, err := s.openDrive(Drive{Path: d.path, Size: d.limit})
	if err != nil {
		return err
	}
	s.forgetAll(d)
	d.takeOut(outRemoved, errors.New("another drive is in its place"))
	s.takePlace(d, opened)
	d.work.quit()
	d.complete()
	return nil
}

// absent reports whether err says that d's directory is not d's any more.
func absent(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, errDamaged) }
