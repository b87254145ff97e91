package disk

import (
	"log/slog"
	"sync"
	"time"
)

// faultLog counts the corrupt blocks of a drive by the hour. The zero value is
// ready.
type faultLog struct {
	mu    sync.Mutex
	hours [24]int64
	hour  int64 // the Unix hour that was counted in last
	all   int64
}

// add counts one block and returns the number of the last 24 hours.
func (t *faultLog) add(now time.Time) int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.turn(now)
	t.hours[t.hour%24]++
	t.all++
	return t.sum()
}

func (t *faultLog) today(now time.Time) int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.turn(now)
	return t.sum()
}

func (t *faultLog) total() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.all
}

// turn forgets the hours that are a day ago. mu is held, as in sum.
func (t *faultLog) turn(now time.Time) {
	hour := max(0, now.Unix()/3600)
	for h := max(t.hour, hour-24) + 1; h <= hour; h++ {
		t.hours[h%24] = 0
	}
	t.hour = max(t.hour, hour)
}

func (t *faultLog) sum() (n int64) {
	for _, h := range t.hours {
		n += h
	}
	return n
}

// lied notes that a block read from d is not what was written.
func (d *drive) lied() {
	if n := d.faults.add(d.s.now()); n == int64(d.s.cfg.FailingAfter) {
		d.s.log.Error("drive is failing: it returns other bytes than were written; replace it", slog.String("drive", d.path),
			slog.Int64("corrupt_blocks_today", n))
	}
}
