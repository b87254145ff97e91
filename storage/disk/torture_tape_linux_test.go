package disk

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
)

const (
	tapePage   = 4096
	tapeSector = 512
)

// tapeFS is a file system that remembers everything that was done to it, since
// nothing of it was synced, and can say what a power cut may leave of it.
type tapeFS struct {
	OS
	root string

	mu    sync.Mutex
	files map[uint64]*taped   // by inode
	names map[string][]*taped // what each name has stood for, nil for nothing
	order []string            // the names in the order of their changes
	left  int                 // operations until cut is called
	cut   func()
}

// taped is one file: for each page all contents that it had, and all lengths.
type taped struct {
	pages map[int64][][]byte
	sizes []int64
}

// newTapeFS takes what lies under root for synced.
func newTapeFS(root string) (*tapeFS, error) {
	t := &tapeFS{root: root, files: map[uint64]*taped{}, names: map[string][]*taped{}}
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		fi, err := e.Info()
		if err != nil {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		f := &taped{pages: map[int64][][]byte{}, sizes: []int64{fi.Size()}}
		for off := int64(0); off < int64(len(b)); off += tapePage {
			page := make([]byte, tapePage)
			copy(page, b[off:])
			if [tapePage]byte(page) != [tapePage]byte{} {
				f.pages[off] = [][]byte{page}
			}
		}
		t.files[inodeOf(fi)] = f
		t.names[path] = []*taped{f}
		return nil
	})
	return t, err
}

// step counts an operation and makes the cut when it is time. mu is held.
func (t *tapeFS) step() {
	if t.left--; t.left == 0 {
		t.cut()
	}
}

func (t *tapeFS) name(path string, f *taped) {
	if t.names[path] == nil {
		t.names[path] = []*taped{nil}
	}
	t.names[path] = append(t.names[path], f)
	t.order = append(t.order, path)
}

func (t *tapeFS) Open(op Op, path string, flag int) (*os.File, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, err := os.Lstat(path)
	fresh := err != nil || flag&os.O_TRUNC != 0
	file, err := t.OS.Open(op, path, flag)
	if err != nil || !fresh {
		return file, err
	}
	fi, err := file.Stat()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	f := &taped{pages: map[int64][][]byte{}, sizes: []int64{0}}
	t.files[inodeOf(fi)] = f
	t.name(path, f)
	t.step()
	return file, nil
}

func (t *tapeFS) of(file *os.File) *taped {
	fi, err := file.Stat()
	if err != nil {
		return nil
	}
	return t.files[inodeOf(fi)]
}

// Write forgets what was before where the write is synced.
func (t *tapeFS) Write(op Op, file *os.File, off int64, bufs ...[]byte) error {
	if op == OpMemory {
		return t.OS.Write(op, file, off, bufs...)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.OS.Write(op, file, off, bufs...); err != nil {
		return err
	}
	f := t.of(file)
	if f == nil {
		return nil
	}
	var all []byte
	for _, b := range bufs {
		all = append(all, b...)
	}
	end := off + int64(len(all))
	for at := off / tapePage * tapePage; at < end; at += tapePage {
		page := make([]byte, tapePage)
		if had := f.pages[at]; len(had) > 0 {
			copy(page, had[len(had)-1])
		} else {
			f.pages[at] = [][]byte{page}
			page = make([]byte, tapePage)
		}
		copy(page[max(0, off-at):], all[max(0, at-off):])
		f.pages[at] = append(f.pages[at], page)
		if op == OpIdent {
			f.pages[at] = f.pages[at][len(f.pages[at])-1:]
		}
	}
	f.sizes = append(f.sizes, max(end, f.sizes[len(f.sizes)-1]))
	if op == OpIdent {
		f.sizes = f.sizes[len(f.sizes)-1:]
	}
	t.step()
	return nil
}

func (t *tapeFS) Truncate(op Op, file *os.File, size int64) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if f := t.of(file); f != nil {
		f.sizes = append(f.sizes, size)
	}
	t.step()
	return t.OS.Truncate(op, file, size)
}

func (t *tapeFS) Rename(op Op, from, to string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.OS.Rename(op, from, to); err != nil {
		return err
	}
	had := t.names[from]
	t.name(to, had[len(had)-1])
	t.name(from, nil)
	t.step()
	return nil
}

func (t *tapeFS) Remove(op Op, path string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.OS.Remove(op, path); err != nil {
		return err
	}
	t.name(path, nil)
	t.step()
	return nil
}

// powerCut is how much a clone keeps, drawn once per clone.
type powerCut struct {
	rng *rand.Rand
	// keep is the part of the pages that have their last content.
	keep float64
	// torn pages are kept by sector, stale ones may have another file's bytes,
	// ordered names are all of one moment.
	torn, stale, ordered bool
	strays               [][]byte
}

// clone writes what a power cut at this moment may leave, to dir. mu is held.
func (t *tapeFS) clone(rng *rand.Rand, dir string) error {
	p := &powerCut{rng: rng, keep: []float64{0, 0.3, 0.7, 0.95, 1}[rng.IntN(5)],
		torn: rng.IntN(3) == 0, stale: rng.IntN(3) == 0, ordered: rng.IntN(2) == 0}
	for _, f := range t.files {
		for _, had := range f.pages {
			p.strays = append(p.strays, had[len(had)-1])
			break
		}
	}
	made := map[*taped][]byte{}
	for path, f := range t.survivors(p) {
		if f == nil {
			continue
		}
		b, ok := made[f]
		if !ok {
			b = p.leave(f)
			made[f] = b
		}
		rel, err := filepath.Rel(t.root, path)
		if err != nil {
			return err
		}
		to := filepath.Join(dir, rel)
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			return err
		}
		if err := writeSparse(to, b, int64(len(b))); err != nil {
			return err
		}
	}
	return nil
}

// survivors returns which file each name stands for after the cut: that of one
// moment for all, or each at a moment of its own.
func (t *tapeFS) survivors(p *powerCut) map[string]*taped {
	out := map[string]*taped{}
	if !p.ordered {
		for path, had := range t.names {
			at := len(had) - 1
			if p.rng.Float64() > p.keep {
				at = p.rng.IntN(len(had))
			}
			out[path] = had[at]
		}
		return out
	}
	undone := map[string]int{}
	lost := 0
	if p.keep < 1 {
		lost = p.rng.IntN(len(t.order) + 1)
	}
	for _, path := range t.order[len(t.order)-lost:] {
		undone[path]++
	}
	for path, had := range t.names {
		out[path] = had[len(had)-1-undone[path]]
	}
	return out
}

// leave returns what is left of a file's bytes.
func (p *powerCut) leave(f *taped) []byte {
	size := f.sizes[len(f.sizes)-1]
	if p.rng.Float64() > p.keep {
		size = f.sizes[p.rng.IntN(len(f.sizes))]
	}
	b := make([]byte, size)
	for off, had := range f.pages {
		if off >= size {
			continue
		}
		page := make([]byte, tapePage)
		step := tapePage
		if p.torn {
			step = tapeSector
		}
		for at := 0; at < tapePage; at += step {
			from := had[len(had)-1]
			if len(had) > 1 && p.rng.Float64() > p.keep {
				from = had[p.rng.IntN(len(had))]
				if p.stale && p.rng.IntN(4) == 0 {
					from = p.strays[p.rng.IntN(len(p.strays))]
				}
			}
			copy(page[at:at+step], from[at:])
		}
		copy(b[off:], page)
	}
	return b
}
