package disk

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
)

// driveSet is the drives of a Store. The slice that now points to is never
// changed.
type driveSet struct {
	now    atomic.Pointer[[]*drive]
	opened atomic.Int64
	// turned is the channel given out by Store.turned.
	turned atomic.Pointer[chan struct{}]

	mu sync.Mutex // one change at a time; guards run
	// run starts the background work of a drive; nil while Run is not running.
	run func(*drive)
}

func (t *driveSet) store(drives []*drive) { t.now.Store(&drives) }

// swap puts with in the place of old: nil for old adds, nil for with removes.
// mu is held.
func (t *driveSet) swap(old, with *drive) {
	drives := slices.Clone(*t.now.Load())
	i := slices.Index(drives, old)
	switch {
	case old == nil:
		drives = append(drives, with)
	case i < 0:
		return
	case with == nil:
		drives = slices.Delete(drives, i, i+1)
	default:
		drives[i] = with
	}
	t.store(drives)
	if with != nil && t.run != nil {
		t.run(with)
	}
}

// drives returns the drives in use, the missing ones too, in the order of the
// configuration. It is not to be changed.
func (s *Store) drives() []*drive {
	if p := s.set.now.Load(); p != nil {
		return *p
	}
	return nil
}

// driveAt returns the drive of a path, nil when there is none.
func (s *Store) driveAt(path string) *drive {
	path = filepath.Clean(path)
	for _, d := range s.drives() {
		if d.path == path {
			return d
		}
	}
	return nil
}

// driveWork is the background work of one drive.
type driveWork struct {
	// scan asks for another scan.
	scan chan struct{}
	// stop ends the work; done closes after it, or at once when it never began.
	mu      sync.Mutex
	stop    context.CancelFunc
	done    chan struct{}
	stopped bool
}

func (w *driveWork) init() { w.scan = make(chan struct{}, 1) }

// begin returns the context of the work; false when it is stopped already.
func (w *driveWork) begin(ctx context.Context) (context.Context, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped {
		return nil, false
	}
	ctx, w.stop = context.WithCancel(ctx)
	w.done = make(chan struct{})
	return ctx, true
}

// quit stops the work; the channel closes when it has ended.
func (w *driveWork) quit() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopped = true
	if w.stop != nil {
		w.stop()
	} else {
		w.done = make(chan struct{})
		close(w.done)
	}
	return w.done
}

// AddDrive takes another drive in: it locks and reads it as New does, and fails
// as New does, or with ErrDrive when its path is that of a drive in use. What
// the drive holds is served at once and comes into the index while Run runs;
// Config.Changed is called then. It lasts until Close.
func (s *Store) AddDrive(ctx context.Context, cfg Drive) error {
	if err := cfg.validate(); err != nil {
		return fmt.Errorf("add drive: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	s.set.mu.Lock()
	defer s.set.mu.Unlock()
	if s.closed.Load() {
		return fmt.Errorf("add drive %s: %w", cfg.Path, ErrClosed)
	}
	if s.driveAt(cfg.Path) != nil {
		return fmt.Errorf("add drive %s: %w: it is in use by this node already", cfg.Path, ErrDrive)
	}
	d, err := s.openDrive(cfg)
	if err != nil {
		return fmt.Errorf("add drive: %w", err)
	}
	d.late = true
	s.scans.Add(1)
	s.set.swap(nil, d)
	return nil
}
