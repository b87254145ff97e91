package disk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mccd/mccd/storage"
)

// thing is a chunk that a workload uses, and its bytes.
type thing struct {
	key   storage.ChunkKey
	v     storage.Version
	bytes []byte
	// spans are what is read of it.
	spans []storage.Span
}

// newThing returns chunk index of an object; without blocks all of it is read.
func newThing(name string, size int64, index uint32, blocks ...int) *thing {
	th := &thing{}
	th.key, th.v = object(name, size, index)
	length := chunkLen(size, index)
	th.bytes = content(th.key, storage.Span{End: length})
	for _, i := range blocks {
		off := int64(i) * storage.BlockSize
		th.spans = append(th.spans, storage.Span{Off: off + 17, End: off + blockLen(length, i)})
	}
	if len(blocks) == 0 {
		th.spans = []storage.Span{{End: length}}
	}
	return th
}

// scenery is what all runs of a workload have in common; it is not changed.
type scenery struct {
	old    []*thing // what a former process left on the drives
	things []*thing // what is read and filled
	flow   []*thing // what comes and pushes out
	// template has the drives as the former process left them.
	template string
	drives   int
}

const sickReaders = 20

// newScenery makes drives that are almost full.
func newScenery(t testing.TB, root string, drives int) *scenery {
	sc := &scenery{template: filepath.Join(root, fmt.Sprint("template", drives)), drives: drives}
	sc.populate()
	cfg := sc.config(sc.template, OS{})
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, th := range sc.old {
		if err := th.fill(t.Context(), s, storage.Span{End: int64(len(th.bytes))}); err != nil {
			t.Fatal(err)
		}
		if err := s.PutRecord(&storage.Object{ID: th.key.Object, Host: "cdn.test", Path: "/old", Version: th.v}); err != nil {
			t.Fatal(err)
		}
	}
	return sc
}

// populate makes the things up.
func (sc *scenery) populate() {
	for i := range 11 * sc.drives {
		sc.old = append(sc.old, newThing(fmt.Sprint("old", i), 11*storage.BlockSize-int64(i), 0, 0, 5))
	}
	sc.things = []*thing{
		newThing("hot", 2*storage.BlockSize+777, 0),
		newThing("sparse", storage.ChunkSize+100_000, 0, 0, 7, 127),
		newThing("sparse", storage.ChunkSize+100_000, 1),
		newThing("odd", 1, 0),
	}
	for i := range 3 * sc.drives {
		sc.flow = append(sc.flow, newThing(fmt.Sprint("flow", i), 3*storage.BlockSize, 0))
	}
}

func (sc *scenery) config(dir string, f FS) Config {
	cfg := Config{FS: f, MinFree: -1, IdleFiles: 8, IOSlots: 2, ScrubRate: 1 << 40, MemBytes: 2 * storage.ChunkSize}
	for i := range sc.drives {
		cfg.Drives = append(cfg.Drives, Drive{Path: filepath.Join(dir, fmt.Sprint("d", i)), Size: MinDriveSize})
	}
	return cfg
}

// all returns everything that may be on the drives.
func (sc *scenery) all() []*thing {
	return append(append(append([]*thing(nil), sc.old...), sc.things...), sc.flow...)
}

// fill writes what is missing of span.
func (th *thing) fill(ctx context.Context, s *Store, span storage.Span) error {
	c, err := s.Create(ctx, th.key, th.v)
	if err != nil {
		return err
	}
	defer c.Release()
	return th.fillInto(c, span)
}

func (th *thing) fillInto(c *Chunk, span storage.Span) error {
	w, err := c.BeginWrite()
	if err != nil {
		return err
	}
	defer w.End()
	for _, gap := range c.Missing(span) {
		for off := gap.Off; off < gap.End; off += storage.BlockSize {
			b := th.bytes[off:min(off+storage.BlockSize, gap.End)]
			cut := len(b) / 3
			if err := w.WriteBlock(int(off/storage.BlockSize), [][]byte{b[:cut], {}, b[cut:]}); err != nil {
				return err
			}
		}
	}
	return nil
}

// sent reads what is ready of span, as a response does, and compares it.
func (th *thing) sent(ctx context.Context, c *Chunk, span storage.Span) (int64, error) {
	f, base := c.File()
	done := int64(0)
	for span.Off < span.End {
		n, err := c.Ready(ctx, span)
		if err != nil || n == 0 {
			return done, err
		}
		if err := th.same(f, base, span.Off, n); err != nil {
			return done, err
		}
		span.Off += n
		done += n
	}
	return done, nil
}

// same compares n bytes of a file. The race detector would look at each of
// them, which takes most of the time; nobody writes to what was published.
//
//go:norace
func (th *thing) same(f *os.File, base, off, n int64) error {
	m, err := unix.Mmap(int(f.Fd()), (base+off)&^4095, int((base+off)&4095+n), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("map %s: %w", th.key, err)
	}
	defer func() { _ = unix.Munmap(m) }()
	if !bytes.Equal(m[(base+off)&4095:], th.bytes[off:off+n]) {
		return fmt.Errorf("%w in %v of %s", errWrongBytes, storage.Span{Off: off, End: off + n}, th.key)
	}
	return nil
}

// read gets all of span, filling what is missing, and again after each
// failure: no fault of one operation may last for ever.
func (th *thing) read(ctx context.Context, s *Store, span storage.Span) error {
	var last error
	for try := range 200 {
		if try > 0 {
			time.Sleep(time.Duration(min(try*try, 1000)) * 10 * time.Millisecond) //nolint:forbidigo // between tries, fake time where it matters
		}
		c, err := s.Lookup(th.key)
		if err != nil {
			c, err = s.Create(ctx, th.key, th.v)
		}
		if err != nil {
			last = err
			continue
		}
		n, err := th.sent(ctx, c, span)
		if errors.Is(err, errWrongBytes) {
			c.Release()
			return err
		}
		if span.Off += n; err == nil && !span.Empty() {
			err = th.fillInto(c, span)
		}
		c.Release()
		if span.Empty() {
			return nil
		}
		last = err
	}
	return fmt.Errorf("%v of %s cannot be had: %w", span, th.key, last)
}

// readers run sickReaders of them over things, in orders of their own.
func readers(ctx context.Context, s *Store, seed uint64, things []*thing) error {
	var wg sync.WaitGroup
	errs := make(chan error, sickReaders)
	for i := range uint64(sickReaders) {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(seed, i))
			for _, n := range rng.Perm(len(things))[:min(len(things), 4)] {
				th := things[n]
				if err := th.read(ctx, s, th.spans[rng.IntN(len(th.spans))]); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	return <-errs
}

// spoil lets one block of a chunk rot on its drive; false where it is on none.
func (th *thing) spoil(f *faultFS, cfg Config, i int, at int64) bool {
	for _, d := range cfg.Drives {
		if f.rot(chunkPath(d.Path, th.key), i, at) {
			return true
		}
	}
	return false
}

// copyTree copies the files under from, holes as holes.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		if e.IsDir() {
			return os.MkdirAll(target, 0o700)
		}
		return copySparse(path, target)
	})
}

// copySparse copies a file's extents within the kernel.
func copySparse(from, to string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	fi, err := src.Stat()
	if err != nil {
		return err
	}
	dst, err := os.OpenFile(to, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer dst.Close()
	for off := int64(0); off < fi.Size(); {
		data, err := unix.Seek(int(src.Fd()), off, unix.SEEK_DATA)
		if err != nil {
			break // a hole up to the end
		}
		end, err := unix.Seek(int(src.Fd()), data, unix.SEEK_HOLE)
		if err != nil {
			return err
		}
		in, out := data, data
		for in < end {
			if n, err := unix.CopyFileRange(int(src.Fd()), &in, int(dst.Fd()), &out, int(end-in), 0); err != nil || n == 0 {
				return fmt.Errorf("copy %s: %d, %w", from, n, err)
			}
		}
		off = end
	}
	return dst.Truncate(fi.Size())
}

// writeSparse writes a file without its pages of zeros.
func writeSparse(path string, b []byte, size int64) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	var zeros [4096]byte
	for off := 0; off < len(b); off += len(zeros) {
		page := b[off:min(off+len(zeros), len(b))]
		if bytes.Equal(page, zeros[:len(page)]) {
			continue
		}
		if _, err := f.WriteAt(page, int64(off)); err != nil {
			return err
		}
	}
	return f.Truncate(size)
}
