package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
)

// maxDrift is how far the saved total may lag behind before it is saved again,
// and so what is added to it after a crash.
const maxDrift = 64 << 20

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

// loadTotals makes what a former process left count before it is found.
func (d *drive) loadTotals() {
	b, err := d.readSmall(OpTotals, filepath.Join(d.path, "totals"))
	var used, clean int64
	if err == nil {
		if _, err = fmt.Sscanf(string(b), "used %d\nclean %d\n", &used, &clean); err == nil && used < 0 {
			err = errDamaged
		}
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return // new, or stopped before it held maxDrift
	case err != nil:
		used = d.low()
	case clean == 0:
		used += min(maxDrift, d.limit/16)
	}
	used = min(used, d.limit)
	d.estimate = used
	d.used.Store(used)
	d.saved.Store(used)
	if clean == 1 {
		_ = d.saveTotals(false) // so that a crash from here on is seen; the drive's state tells
	}
}
