package disk

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
)

// clean removes the temporary files of a former process. Where the drive does
// not let it, the scan sees to them.
func (d *drive) clean() {
	files, err := d.former(OpClean)
	for _, i := range files {
		if err == nil {
			err = d.removeFormer(i)
		}
	}
	if err != nil {
		d.fault(err, false)
		d.littered = true
	}
}

// cleanAgain does what clean could not. What stays even now begins to count and
// goes like other litter: nobody else knows of it.
func (d *drive) cleanAgain() error {
	if !d.littered {
		return nil
	}
	files, err := d.former(OpScan)
	if err != nil {
		return err
	}
	for _, i := range files {
		if err := d.removeFormer(i); err != nil {
			d.fault(err, false)
			n := chargeOf(i)
			d.chargeFound(n)
			e := &entry{drive: d}
			e.bytes.Store(n)
			d.leave(litterFile{path: filepath.Join(d.path, "tmp", i.Name), e: e})
		}
	}
	d.littered = false
	return nil
}

// former lists the temporary files from before the drive was opened.
func (d *drive) former(op Op) ([]Info, error) {
	var files []Info
	err := d.s.fs.List(op, filepath.Join(d.path, "tmp"), func(i Info) bool {
		if !i.Dir && !strings.Contains(i.Name, d.run) {
			files = append(files, i)
		}
		return true
	})
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return files, err
}

func (d *drive) removeFormer(i Info) error {
	err := d.s.fs.Remove(OpClean, filepath.Join(d.path, "tmp", i.Name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
