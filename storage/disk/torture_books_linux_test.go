package disk

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// books count what lies on drives, apart from what a Store counts itself: all
// bytes of chunk and record files, those without a name included as long as
// somebody has them open. What goes over a drive's limit is noted at the
// write that does it.
type books struct {
	mu     sync.Mutex
	limits map[string]int64
	files  map[uint64]*booked
	faults []string
}

// booked is one file.
type booked struct {
	drive string
	name  string
	bytes int64
	named bool
	head  bool
	open  []*os.File
}

// newBooks begins with what the drives hold now.
func newBooks(drives []Drive) *books {
	b := &books{limits: map[string]int64{}, files: map[uint64]*booked{}}
	for _, d := range drives {
		b.limits[filepath.Clean(d.Path)] = d.Size
		_ = eachStored(d.Path, func(path string, fi fs.FileInfo) {
			st := fi.Sys().(*syscall.Stat_t)
			b.files[st.Ino] = &booked{drive: d.Path, name: path, bytes: st.Blocks * 512, named: true, head: true}
		})
	}
	return b
}

// eachStored calls yield for the files that count against a drive's limit.
func eachStored(drive string, yield func(path string, fi fs.FileInfo)) error {
	for _, sub := range []string{"chunks", "records", "tmp"} {
		err := filepath.WalkDir(filepath.Join(drive, sub), func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return ignoreMissing(err)
			}
			fi, err := e.Info()
			if err == nil {
				yield(path, fi)
			}
			return ignoreMissing(err)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func ignoreMissing(err error) error {
	if os.IsNotExist(err) {
		return nil
	}
	return err
}

// under returns the drive that path lies on, "" for none.
func (b *books) under(path string) string {
	for d := range b.limits {
		if path == d || strings.HasPrefix(path, d+string(filepath.Separator)) {
			return d
		}
	}
	return ""
}

// driveOf returns the drive on which path counts, "" for what does not count.
func (b *books) driveOf(path string) string {
	for d := range b.limits {
		rest, ok := strings.CutPrefix(path, d+string(filepath.Separator))
		if !ok {
			continue
		}
		rest = filepath.ToSlash(rest)
		if strings.HasPrefix(rest, "chunks/") || strings.HasPrefix(rest, "records/") ||
			strings.HasPrefix(rest, "tmp/") && (strings.Contains(rest, recordSuffix) || strings.Count(rest, "-") >= 2) {
			return d
		}
	}
	return ""
}

func inodeOf(fi fs.FileInfo) uint64 { return fi.Sys().(*syscall.Stat_t).Ino }

// opened notes that file is open.
func (b *books) opened(path string, file *os.File) {
	drive := b.driveOf(path)
	if drive == "" {
		return
	}
	fi, err := file.Stat()
	if err != nil || fi.IsDir() {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.files[inodeOf(fi)]
	if e == nil || !e.alive() {
		e = &booked{drive: drive, name: path, named: true}
		b.files[inodeOf(fi)] = e
	}
	e.open = append(e.open, file)
}

// alive reports whether the file takes space: it has a name or is open.
func (e *booked) alive() bool {
	open := e.open[:0]
	for _, f := range e.open {
		if _, err := f.Stat(); err == nil {
			open = append(open, f)
		}
	}
	e.open = open
	return e.named || len(open) > 0
}

// wrote notes a write and compares the drive with its limit.
func (b *books) wrote(file *os.File, off int64, bufs [][]byte) {
	if b.driveOf(file.Name()) == "" {
		return
	}
	fi, err := file.Stat()
	if err != nil {
		return
	}
	n := int64(0)
	for _, p := range bufs {
		n += int64(len(p))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.files[inodeOf(fi)]
	switch {
	case e == nil:
		return
	case strings.Contains(e.name, recordSuffix):
		e.bytes += charge(n)
	case off >= dataOff:
		e.bytes += charge(n)
	case !e.head:
		e.head = true
		e.bytes += headCharge
	}
	sum := b.sum(e.drive)
	limit := b.limits[e.drive]
	if sum > limit {
		sum = b.measure(e.drive) // the books may be behind what the drive did
	}
	if sum > limit && len(b.faults) < 10 {
		b.faults = append(b.faults, fmt.Sprintf("drive %s holds %d bytes, its limit is %d, at a write of %d to %s",
			e.drive, sum, limit, n, e.name))
	}
}

// measure asks the file system what a drive holds, files without a name that
// are open included. mu is held.
func (b *books) measure(drive string) int64 {
	total := int64(0)
	_ = eachStored(drive, func(path string, fi fs.FileInfo) {
		if b.driveOf(path) != "" { // not totals and the like in the making
			total += fi.Sys().(*syscall.Stat_t).Blocks * 512
		}
	})
	for _, e := range b.files {
		if e.drive != drive || e.named || !e.alive() {
			continue
		}
		if fi, err := e.open[0].Stat(); err == nil {
			total += fi.Sys().(*syscall.Stat_t).Blocks * 512
		}
	}
	return total
}

// sum returns what a drive holds. mu is held.
func (b *books) sum(drive string) int64 {
	total := int64(0)
	for ino, e := range b.files {
		if e.drive != drive {
			continue
		}
		if !e.named && !e.alive() {
			delete(b.files, ino)
			continue
		}
		total += e.bytes
	}
	return total
}

// named runs what takes the name path away from the file that has it.
func (b *books) named(path string, run func() error) error {
	fi, err := os.Lstat(path)
	rerr := run()
	if err != nil || rerr != nil || fi.IsDir() {
		return rerr
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if e := b.files[inodeOf(fi)]; e != nil {
		e.named = false
	}
	return nil
}

// verdict returns what went over a limit.
func (b *books) verdict() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.faults) == 0 {
		return nil
	}
	return fmt.Errorf("over the limit: %s", strings.Join(b.faults, "; "))
}
