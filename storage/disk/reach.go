package disk

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"
)

// Why nothing may be asked of a drive; several may hold.
const (
	outUnopened uint32 = 1 << iota // it was missing at the start
	outMissing                     // its directory holds another drive, or none
	outSlow                        // an operation does not end
	outRemoved                     // it is not one of the store's any more
)

// reachable reports whether operations on d are expected to end. What it holds
// counts as not held while they are not.
func (d *drive) reachable() bool { return d.out.Load() == 0 }

// status is what the drive's state amounts to.
func (d *drive) status() (State, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := d.out.Load()
	switch {
	case out&(outUnopened|outMissing|outRemoved) != 0:
		return StateMissing, d.outCause
	case out&outSlow != 0:
		return StateSlow, d.outCause
	}
	st := State(d.state.Load())
	if st != StateFailed && d.leaving.Load() {
		return StateLeaving, d.cause
	}
	return st, d.cause
}

// takeOut notes that d is out of reach, and lets go all who wait for it.
func (d *drive) takeOut(why uint32, cause error) {
	d.mu.Lock()
	was := d.out.Or(why)
	if was&why == 0 {
		d.outCause = cause
	}
	d.mu.Unlock()
	if was&why != 0 {
		return
	}
	d.s.turn()
	if why == outRemoved {
		return
	}
	to, _ := d.status()
	d.s.metrics.transition(d, to)
	d.s.log.Warn("drive is out of reach; what it holds is taken from elsewhere", slog.String("drive", d.path),
		slog.String("state", to.String()), slog.Any("error", cause))
}

// takeBack ends what takeOut began. What was made elsewhere meanwhile is found
// by another scan.
func (d *drive) takeBack(why uint32) {
	d.rescan()
	d.mu.Lock()
	was := d.out.And(^why)
	if was&^why == 0 {
		d.outCause = nil
	}
	d.mu.Unlock()
	if was&why == 0 || was&^why != 0 {
		return
	}
	d.s.metrics.transition(d, State(d.state.Load()))
	d.s.log.Info("drive is back", slog.String("drive", d.path))
}

// rescan makes the index incomplete as to d until its next scan is over.
func (d *drive) rescan() {
	d.judging.Store(false)
	if d.scanned.CompareAndSwap(true, false) {
		d.s.scans.Add(1)
	}
	if d.out.Load()&outRemoved != 0 {
		d.complete() // nothing scans it any more
		return
	}
	select {
	case d.work.scan <- struct{}{}:
	default:
	}
}

// turned returns a channel that closes when the next drive goes out of reach.
func (s *Store) turned() <-chan struct{} {
	for {
		if ch := s.set.turned.Load(); ch != nil {
			return *ch
		}
		ch := make(chan struct{})
		if s.set.turned.CompareAndSwap(nil, &ch) {
			return ch
		}
	}
}

func (s *Store) turn() {
	if ch := s.set.turned.Swap(nil); ch != nil {
		close(*ch)
	}
}

// watch looks, once a tick, for operations that do not end, and for slow drives
// that answer again. It asks no drive itself.
func (s *Store) watch() {
	now := s.now().UnixNano()
	for _, d := range s.drives() {
		out := d.out.Load()
		switch {
		case out == 0 && s.cfg.SlowAfter > 0:
			if since := d.clock.oldest(); since != 0 && now-since >= int64(s.cfg.SlowAfter) {
				d.slowAt(now)
				d.takeOut(outSlow, fmt.Errorf("an operation has not ended for %s", time.Duration(now-since).Round(time.Second)))
			}
		case out&outSlow != 0:
			d.probe(now)
		}
	}
}

// Probes of a slow drive: it is used again after as many fast answers in a row,
// twice as many each time that it turns slow again within slowMemory.
const (
	firstProbes = 3
	mostProbes  = 60
	slowMemory  = time.Hour
)

// slowness is what is known of a drive that was slow; one goroutine uses it,
// but for fast.
type slowness struct {
	last   int64 // when it turned slow last
	probes int64 // fast answers that it takes now
	result chan bool
	fast   int64 // so many in a row
}

func (d *drive) slowAt(now int64) {
	w := &d.slowness
	if w.last == 0 || now-w.last > int64(slowMemory) {
		w.probes = firstProbes
	} else {
		w.probes = min(2*w.probes, mostProbes)
	}
	w.last, w.fast = now, 0
}

// probe takes the answer of the last probe and sends the next.
func (d *drive) probe(now int64) {
	w := &d.slowness
	if w.result != nil {
		select {
		case ok := <-w.result:
			w.result = nil
			if w.fast++; !ok {
				w.fast = 0
			}
		default:
			return // it has not answered yet
		}
	}
	// Checks from before must be over: what they bring into the page cache is
	// not seen by those that follow.
	if w.fast >= w.probes && d.clock.idle() {
		w.last = now
		d.takeBack(outSlow)
		return
	}
	result := make(chan bool, 1)
	w.result = result
	limit := d.s.cfg.SlowAfter / 5
	go func() {
		begun := d.s.now()
		err := d.readThrough()
		result <- err == nil && d.s.now().Sub(begun) <= limit
	}()
}

// readThrough reads the drive's id from the drive, not from the page cache.
func (d *drive) readThrough() error {
	f, err := d.s.fs.Open(OpProbe, filepath.Join(d.path, "drive"), 0)
	if err != nil {
		return err
	}
	defer f.Close()
	forget(f, 0, 4096)
	_, err = d.s.fs.Read(OpProbe, f, 0, make([]byte, 16))
	return err
}

// checkPresent finds out whether d's directory still holds d: a mount that went
// away leaves another directory under the same path.
func (d *drive) checkPresent() {
	if !d.identified || d.out.Load()&^outMissing != 0 {
		return
	}
	slot := d.begin()
	id, err := d.readID()
	d.end(slot)
	switch {
	case err == nil && id == d.id:
		if d.out.Load() == 0 || d.changing.Swap(true) {
			return
		}
		defer d.changing.Store(false)
		d.unlock() // of the file system that was there before
		if err := d.takeLock(); err == nil {
			d.takeBack(outMissing)
		}
	case err == nil:
		d.takeOut(outMissing, errors.New("another drive is in its place"))
		if d.changing.Swap(true) {
			return
		}
		defer d.changing.Store(false)
		if err := d.s.otherDrive(d); err != nil {
			d.mu.Lock()
			d.outCause = err
			d.mu.Unlock()
		}
	case absent(err):
		d.takeOut(outMissing, fmt.Errorf("the drive is not in its directory any more: %w", err))
	default:
		d.fault(err, true)
	}
}

// makeDirectory makes a directory that was missing on d, unless all of d is: then
// another file system is under its path.
func (d *drive) makeDirectory(op Op, dir string) error {
	switch {
	case d.identified:
		if d.checkPresent(); !d.reachable() {
			return errOut
		}
	case !d.blank: // its id could not be read
		if _, err := d.readID(); absent(err) {
			return errOut
		}
	}
	return d.s.fs.Mkdir(op, dir)
}

// forgetAll forgets what the index has of d.
func (s *Store) forgetAll(d *drive) {
	for i := range s.shards {
		sh := &s.shards[i]
		for _, key := range sh.keysOf(d) {
			sh.mu.Lock()
			if e := sh.index[key]; e != nil && e.drive == d {
				s.forgetEntry(sh, e)
			} else if e != nil && e.under != nil && e.under.drive == d {
				under := e.under
				e.under = nil
				s.forgetEntry(sh, under)
			}
			sh.mu.Unlock()
		}
	}
}

// forgetEntry takes e out of the index, because its drive is out of reach. The
// file stays, and what it takes counts as not found yet. Readers keep what they
// have open. The shard is locked.
func (s *Store) forgetEntry(sh *shard, e *entry) {
	if e.gone {
		return
	}
	c := e.chunk
	if sh.index[e.key] == e {
		delete(sh.index, e.key)
	}
	e.chunk, e.gone, e.left = nil, true, true
	d := e.drive
	d.chunks.Add(-1)
	d.mu.Lock()
	d.estimate += e.bytes.Swap(0)
	d.forgotten++
	d.mu.Unlock()
	d.policy.Remove(e)
	if c == nil {
		return
	}
	c.abandon()
	if c.isIdle {
		sh.idle.remove(c)
		go s.closeChunk(c) // closing may ask the drive
	}
}

// abandon ends the chunk's reports as retire does, without waiting for checks:
// they are over before its drive is used again.
func (c *Chunk) abandon() {
	c.mu.Lock()
	c.state.Store(stateReplaced)
	c.mu.Unlock()
	c.wakeAll()
}
