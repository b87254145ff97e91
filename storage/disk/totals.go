package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
)

// maxDrift is how far the saved total may lag behind before it is saved again,
// on drives below 1 GiB less.
const maxDrift = 64 << 20

// drift is maxDrift on a drive of this size; it is what is added to the saved
// total after a crash.
func (d *drive) drift() int64 { return min(maxDrift, d.limit/16) }

// saveTotals writes down how many bytes the drive holds, for the time until
// the next start's scan is over. clean says that nothing follows.
func (d *drive) saveTotals(clean bool) error {
	used, mark := d.used.Load(), 0
	if clean {
		mark = 1
	}
	text := fmt.Sprintf("used %d\nclean %d\n", used, mark)
	if err := d.writeSmall(OpTotals, "totals", filepath.Join(d.path, "totals"), []byte(text)); err != nil {
		d.fault(err, false)
		return fmt.Errorf("save totals of drive %s: %w", d.path, err)
	}
	d.saved.Store(used)
	return nil
}

// keepTotals saves the total where it is about to lag behind by more than a
// crash adds; the background, which is to do it at half of that, was too slow.
func (d *drive) keepTotals() {
	if d.used.Load()-d.saved.Load() <= d.drift() || State(d.state.Load()) != StateOK || d.saving.Swap(true) {
		return
	}
	defer d.saving.Store(false)
	_ = d.saveTotals(false) // the drive's state tells
}

// loadTotals makes what a former process left count before it is found; what
// cannot be read could be all.
func (d *drive) loadTotals() {
	b, err := d.readSmall(OpTotals, filepath.Join(d.path, "totals"))
	var used, clean int64
	if err == nil {
		if _, err = fmt.Sscanf(string(b), "used %d\nclean %d\n", &used, &clean); err == nil && used < 0 {
			err = errDamaged
		}
	}
	d.cleanStop = err == nil && clean == 1
	switch {
	case errors.Is(err, fs.ErrNotExist) && d.blank:
	case err != nil:
		used = d.limit
	case clean == 0:
		used += d.drift()
	}
	used = min(used, d.limit)
	d.estimate = used
	d.used.Store(used)
	d.saved.Store(used)
	_ = d.saveTotals(false) // so that a crash from here on is seen; the drive's state tells
}
