package disk

import "sync/atomic"

// opClock knows since when operations on a drive are under way. The zero value
// is ready.
type opClock struct {
	since [64]atomic.Int64 // Unix nanoseconds, 0 = free
	more  atomic.Int64     // operations that found no place
}

func (t *opClock) begin(now int64) (slot int) {
	for i := range t.since {
		if t.since[i].Load() == 0 && t.since[i].CompareAndSwap(0, now) {
			return i
		}
	}
	t.more.Add(1)
	return -1
}

func (t *opClock) end(slot int) {
	if slot < 0 {
		t.more.Add(-1)
		return
	}
	t.since[slot].Store(0)
}

// oldest returns when the oldest operation under way began, 0 = there is none.
func (t *opClock) oldest() (since int64) {
	for i := range t.since {
		if at := t.since[i].Load(); at != 0 && (since == 0 || at < since) {
			since = at
		}
	}
	return since
}

func (t *opClock) idle() bool { return t.more.Load() == 0 && t.oldest() == 0 }

func (d *drive) begin() int   { return d.clock.begin(d.s.now().UnixNano()) }
func (d *drive) end(slot int) { d.clock.end(slot) }

// await runs ask, which asks d, and returns what it returns. When d goes out of
// reach meanwhile ok is false; ask goes on, and late gets its result.
func await[T any](d *drive, ask func() T, late func(T)) (result T, ok bool) {
	slot := d.begin()
	if d.s.cfg.SlowAfter < 0 {
		defer d.end(slot)
		return ask(), true
	}
	var taken atomic.Bool // by the first of two: who waits, or late
	done := make(chan T, 1)
	go func() {
		defer d.end(slot)
		v := ask()
		if taken.CompareAndSwap(false, true) {
			done <- v
		} else {
			late(v)
		}
	}()
	for {
		turned := d.s.turned()
		if !d.reachable() && taken.CompareAndSwap(false, true) {
			return result, false
		}
		select {
		case v := <-done:
			return v, true
		case <-turned:
		}
	}
}
