package state

import (
	"cmp"
	"fmt"
	"slices"
)

// purge adds a mark; the same ID again is the same mark.
func (t *change) purge(c Purge) error {
	m := c.Mark
	if !isHex(m.ID, 16) {
		return invalid("mark %.80q: 16 lower-case hexadecimal digits", m.ID)
	}
	if err := checkMark(m); err != nil {
		return err
	}
	if slices.ContainsFunc(t.Purge.Marks, func(old PurgeMark) bool { return old.ID == m.ID }) {
		return nil
	}
	// Those of the past make room first.
	t.forgetMarks()
	if len(t.Purge.Marks) >= maxMarks {
		return invalid("%d purges that not every node has acknowledged: purge by prefix", maxMarks)
	}
	m.Index, m.CreatedUnix, m.Acked = purgeIndex(t.Generation, t.index), t.now, nil
	// One of the same scope has nothing to say any more.
	marks := slices.DeleteFunc(slices.Clone(t.Purge.Marks), func(old PurgeMark) bool {
		return old.Host == m.Host && old.Path == m.Path && old.Prefix == m.Prefix && old.Product == m.Product
	})
	t.Purge.Marks = append(marks, m)
	t.Purge.Index, t.changed = m.Index, true
	return nil
}

// purgeIndex returns the index of a mark: beyond all of earlier generations,
// whose Raft indexes may have been higher.
func purgeIndex(generation uint32, index uint64) uint64 {
	return uint64(max(1, generation)-1)<<40 | index
}

func (t *change) ackPurges(c AckPurges) error {
	n, ok := t.Node(c.ID)
	if !ok || n.State == Left {
		return fmt.Errorf("%.80q: %w", c.ID, ErrNodeUnknown)
	}
	var marks []PurgeMark
	for i, m := range t.Purge.Marks {
		at, acked := slices.BinarySearch(m.Acked, c.ID)
		if m.Index > c.Index || acked {
			continue
		}
		if marks == nil {
			marks = slices.Clone(t.Purge.Marks)
		}
		marks[i].Acked = slices.Insert(slices.Clone(m.Acked), at, c.ID)
	}
	if marks != nil {
		t.Purge.Marks, t.changed = marks, true
	}
	return nil
}

// forgetMarks drops, where there are too many, the marks that every member has
// acknowledged, and those that are too old, the oldest first.
func (t *change) forgetMarks() {
	excess := len(t.Purge.Marks) - keptMarks
	if excess <= 0 {
		return
	}
	members := t.Members()
	needed := func(m PurgeMark) bool {
		return t.now-m.CreatedUnix <= markSeconds && slices.ContainsFunc(members, func(n Node) bool {
			_, acked := slices.BinarySearch(m.Acked, n.ID)
			return !acked
		})
	}
	marks := slices.DeleteFunc(slices.Clone(t.Purge.Marks), func(m PurgeMark) bool {
		if excess <= 0 || needed(m) {
			return false
		}
		excess--
		t.Purge.Dropped = max(t.Purge.Dropped, m.Index)
		return true
	})
	t.Purge.Marks = own(marks)
}

// setPin adds, replaces or takes away a pin; those that have ended go.
func (t *change) setPin(c SetPin) error {
	if err := checkScope(c.Pin.Host, c.Pin.Path, c.Pin.Prefix); err != nil {
		return err
	}
	if c.Pin.UntilUnix < 0 {
		return invalid("a pin that ends before 1970")
	}
	same := func(p Pin) bool {
		return p.Host == c.Pin.Host && p.Path == c.Pin.Path && p.Prefix == c.Pin.Prefix
	}
	if c.Remove && !slices.ContainsFunc(t.Pins, same) {
		return fmt.Errorf("pin: %w", ErrNotFound)
	}
	pins := slices.DeleteFunc(slices.Clone(t.Pins), func(p Pin) bool {
		return same(p) || p.UntilUnix != 0 && p.UntilUnix <= t.now
	})
	if !c.Remove {
		if len(pins) >= maxPins {
			return invalid("%d pins are the most", maxPins)
		}
		pins = append(pins, c.Pin)
		slices.SortFunc(pins, func(a, b Pin) int {
			return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.Path, b.Path), boolInt(a.Prefix)-boolInt(b.Prefix))
		})
	}
	t.Pins, t.changed = own(pins), true
	return nil
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// setJob adds or replaces a job; those that nobody changed for a week go, and
// the one unchanged for longest where there are too many.
func (t *change) setJob(c SetJob) error {
	j := c.Job
	if j.ID == "" || !isLine(j.ID, maxText) || !isLine(j.Kind, maxText) || !isLine(j.Node, maxText) || !isLine(j.Status, maxText) || len(j.Detail) > maxPath {
		return invalid("job %.80q", j.ID)
	}
	j.ChangedUnix = t.now
	jobs := slices.DeleteFunc(slices.Clone(t.Jobs), func(old Job) bool {
		return old.ID == j.ID || t.now-old.ChangedUnix > jobSeconds
	})
	if len(jobs) >= maxJobs {
		oldest := 0
		for i, old := range jobs {
			if old.ChangedUnix < jobs[oldest].ChangedUnix {
				oldest = i
			}
		}
		jobs = slices.Delete(jobs, oldest, oldest+1)
	}
	jobs = append(jobs, j)
	slices.SortFunc(jobs, func(a, b Job) int { return cmp.Compare(a.ID, b.ID) })
	t.Jobs, t.changed = jobs, true
	return nil
}
