package disk

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

const (
	tick = time.Second
	// memoryIdle is how long a memory file stays that nobody uses.
	memoryIdle = 1 // minutes
	// sweepEvery is how often idle content is looked for.
	sweepEvery = time.Hour
	// checkEvery is after how many ticks a drive's identity is looked at.
	checkEvery = 2
)

// Run does the background work until ctx ends: the scans, eviction ahead of
// need, the leaving of idle content, the scrub, the watch over drives. It returns
// nil, and is called once. The store serves before and without it.
func (s *Store) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	if s.cfg.Worth != nil {
		wg.Go(func() { s.keepClasses(ctx) })
	}
	s.set.mu.Lock()
	s.set.run = func(d *drive) {
		ctx, ok := d.work.begin(ctx)
		if !ok {
			return
		}
		wg.Go(func() {
			defer close(d.work.done)
			s.work(ctx, d)
		})
	}
	for _, d := range s.drives() {
		s.set.run(d)
	}
	s.set.mu.Unlock()
	t := time.NewTicker(tick)
	defer t.Stop()
	for ctx.Err() == nil {
		select {
		case <-t.C:
			s.watch()
			s.sweepMemory()
		case <-ctx.Done():
		}
	}
	s.set.mu.Lock()
	s.set.run = nil
	s.set.mu.Unlock()
	wg.Wait()
	return nil
}

// work does all that goes on in the background for one drive.
func (s *Store) work(ctx context.Context, d *drive) {
	if d.out.Load()&outUnopened != 0 {
		s.reopen(ctx, d)
		return
	}
	var wg sync.WaitGroup
	wg.Go(func() { s.keepScanned(ctx, d) })
	wg.Go(func() { s.tend(ctx, d) })
	if s.cfg.ScrubRate > 0 {
		wg.Go(func() { s.scrub(ctx, d) })
	}
	wg.Wait()
}

// keepScanned scans d at the start and whenever it was away.
func (s *Store) keepScanned(ctx context.Context, d *drive) {
	for news := d.late; s.scanUntilDone(ctx, d); news = true {
		if news && s.cfg.Changed != nil {
			s.cfg.Changed()
		}
		s.listAll(ctx, d)
		select {
		case <-d.work.scan:
			if d.scanned.CompareAndSwap(true, false) {
				s.scans.Add(1)
			}
		case <-ctx.Done():
			return
		}
	}
}

// listRest is the pause between two chunks whose blocks are looked up.
const listRest = time.Millisecond

// listAll looks up the blocks of the chunks of d that were never open, so that
// Keys has not to.
func (s *Store) listAll(ctx context.Context, d *drive) {
	for i := range s.shards {
		sh := &s.shards[i]
		for _, key := range sh.keysOf(d) {
			sh.mu.Lock()
			e := sh.index[key]
			known := e == nil || e.drive != d || e.chunk != nil || e.listed
			sh.mu.Unlock()
			if known {
				continue
			}
			s.presence(sh, key)
			if len(d.work.scan) > 0 || !d.reachable() || !pause(ctx, listRest) {
				return
			}
		}
	}
}

// scanUntilDone repeats the scan of a drive that cannot be read.
func (s *Store) scanUntilDone(ctx context.Context, d *drive) bool {
	for {
		err := s.scan(ctx, d)
		if err == nil || ctx.Err() != nil {
			return err == nil
		}
		if errors.Is(err, errOut) {
			for again := true; again; again = !d.reachable() {
				if !pause(ctx, tick) {
					return false
				}
			}
			continue
		}
		s.log.Warn("drive is not scanned yet", slog.Any("error", err), slog.Duration("again_in", brokenRetry))
		if !pause(ctx, brokenRetry) {
			return false
		}
	}
}

// tend keeps one drive below its high mark and its total saved.
func (s *Store) tend(ctx context.Context, d *drive) {
	t := time.NewTicker(tick)
	defer t.Stop()
	sweep := time.NewTicker(sweepEvery)
	defer sweep.Stop()
	for ticks := 0; ; ticks++ {
		select {
		case <-ctx.Done():
			return
		case <-sweep.C:
			s.sweep(ctx, d)
		case <-t.C:
			if ticks%checkEvery == 0 {
				d.checkPresent()
			}
			if d.reachable() {
				slot := d.begin()
				d.refreshRoom()
				if d.writable() {
					s.pickUp(d, nil)
				}
				d.end(slot)
			}
		case <-d.kick:
		}
		if !d.reachable() {
			continue
		}
		if d.short() {
			d.refreshRoom() // what was asked for last may be used up only by count
		}
		for range evictRounds {
			if ctx.Err() != nil || d.used.Load() <= d.high() && !d.short() || !s.evictAhead(d) {
				break
			}
		}
		if drift := d.used.Load() - d.saved.Load(); (drift > d.drift()/2 || drift < -d.drift()/2) && State(d.state.Load()) == StateOK {
			_ = d.saveTotals(false) // the drive's state tells
		}
	}
}

// evictAhead evicts from above the high mark down to the low one, or until the
// file system has room again; false when nothing more can go.
func (s *Store) evictAhead(d *drive) bool {
	for range evictRounds {
		if d.used.Load() <= d.low() && !d.short() {
			return true
		}
		if !s.evictOne(d) {
			return false
		}
	}
	return true
}

func (s *Store) sweepMemory() {
	before := uint32(s.now().Unix()/60) - memoryIdle
	for range evictRounds {
		if !s.dropMemory(before) {
			return
		}
	}
}

// sweep lets content go that nobody asked for in Config.IdleAfter, and then
// the records of objects of which nothing is held.
func (s *Store) sweep(ctx context.Context, d *drive) {
	if s.cfg.IdleAfter < 0 {
		return
	}
	before := s.now().Add(-s.cfg.IdleAfter)
	minute := uint32(max(0, before.Unix()/60))
	for i := range s.shards {
		sh := &s.shards[i]
		var old []*entry
		sh.mu.Lock()
		for _, e := range sh.index {
			if e.drive == d && e.used.Load() < minute {
				old = append(old, e)
			}
		}
		sh.mu.Unlock()
		for _, e := range old {
			if ctx.Err() != nil || !d.writable() {
				return
			}
			if s.worth(e) != WorthPinned {
				s.evict(e)
			}
		}
	}
	s.sweepRecords(ctx, d, before)
}
