package disk

import (
	"context"
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
)

// Run does the background work until ctx ends: the start scan, eviction ahead
// of need, the leaving of idle content, the scrub. It returns nil. The store
// serves before and without it.
func (s *Store) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	if s.cfg.Worth != nil {
		wg.Go(func() { s.keepClasses(ctx) })
	}
	for _, d := range s.drives {
		wg.Go(func() { s.scanUntilDone(ctx, d) })
		wg.Go(func() { s.tend(ctx, d) })
		if s.cfg.ScrubRate > 0 {
			wg.Go(func() { s.scrub(ctx, d) })
		}
	}
	wg.Wait()
	return nil
}

// scanUntilDone repeats the start scan of a drive that cannot be read.
func (s *Store) scanUntilDone(ctx context.Context, d *drive) {
	for {
		err := s.scan(ctx, d)
		if err == nil || ctx.Err() != nil {
			return
		}
		s.log.Warn("drive is not scanned yet", slog.Any("error", err), slog.Duration("again_in", brokenRetry))
		if !pause(ctx, brokenRetry) {
			return
		}
	}
}

// tend keeps one drive below its high mark and its total saved.
func (s *Store) tend(ctx context.Context, d *drive) {
	t := time.NewTicker(tick)
	defer t.Stop()
	sweep := time.NewTicker(sweepEvery)
	defer sweep.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-sweep.C:
			s.sweep(ctx, d)
		case <-t.C:
			d.refreshRoom()
			if d.num == 0 {
				s.sweepMemory()
			}
		case <-d.kick:
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
			s.evict(e, true)
		}
	}
	s.sweepRecords(ctx, d, before)
}
