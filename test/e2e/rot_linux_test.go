package e2e_test

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/disk"
	"github.com/mccd/mccd/test/process"
	"github.com/mccd/mccd/test/process/herd"
)

// rotObject is the size of an object whose chunks rot.
const rotObject = 20 * mib

// decay flips bits of the chunk files of running nodes, on their drives, past
// the page cache.
type decay struct {
	*bed
	rng *rand.Rand
	// calm is held by clients while they read: bytes that rot between a node's
	// check and its sendfile are the page cache's, not the drive's.
	calm sync.RWMutex
	// done has the places flipped: each block once.
	done map[string]bool
	// dataOnly spares headers and tables, which a node reads when it opens a
	// file and no scrub counts.
	dataOnly bool

	heads, entries, blocks int // flipped
	corrupt, damaged       int // found
}

// TestBitsRotWhileServing: three nodes hold the same objects, bits flip at
// random places of random chunk files, headers and tables included, one copy of
// each chunk spared, while clients read everywhere. No client gets a wrong
// byte, each rotten block that is read is counted and made anew without a
// request to the origin, also after the nodes were restarted; in the end the
// drives hold no rotten block any more.
func TestBitsRotWhileServing(t *testing.T) {
	b := newBed(t, setting{nodes: 3})
	var objects []*herd.Object
	for _, name := range []string{"a", "b", "c", "d"} {
		o := b.object("/filestreamingservice/files/rot-"+name, rotObject)
		objects = append(objects, o)
		for node := range b.Nodes {
			b.read(o, node, o.Whole())
		}
	}
	seed := uint64(time.Now().UnixNano()) & 0xffffffff
	b.Logf("seed %d", seed)
	d := &decay{bed: b, rng: rand.New(rand.NewPCG(seed, 9)), done: map[string]bool{}}
	ctx, stop := context.WithCancel(b.ctx)
	defer stop()
	var readers sync.WaitGroup
	for i := range 6 {
		readers.Go(func() { d.reader(ctx, objects, i) })
	}
	for range 60 {
		d.flip()
	}
	stop()
	readers.Wait()
	d.readAll(objects)
	if err := d.count(); err != nil {
		t.Fatal(err)
	}
	for _, n := range b.Nodes { // what was open is read from its header again
		if err := n.Stop(b.ctx); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.StartAll(b.ctx, nil); err != nil {
		t.Fatal(err)
	}
	d.readAll(objects)
	d.readAll(objects) // what was condemned by the last read of all is replaced
	if err := d.count(); err != nil {
		t.Fatal(err)
	}
	d.tally()
	for _, o := range objects {
		b.once(o)
	}
	d.inspect()
}

// reader reads one random piece after the other, at any node.
func (d *decay) reader(ctx context.Context, objects []*herd.Object, i int) {
	rng := rand.New(rand.NewPCG(uint64(i), 10))
	for ctx.Err() == nil {
		o := objects[rng.IntN(len(objects))]
		pieces := o.Pieces()
		at := rng.IntN(len(pieces))
		c := &herd.Client{Nodes: []string{d.Nodes[rng.IntN(len(d.Nodes))].Addr}}
		d.calm.RLock()
		r := c.Read(d.ctx, o, pieces[at:at+1], 1)
		d.calm.RUnlock()
		d.clean(r)
	}
}

func (d *decay) readAll(objects []*herd.Object) {
	d.Helper()
	for _, o := range objects {
		for node := range d.Nodes {
			d.read(o, node, o.Pieces())
		}
	}
}

// files returns a node's chunk files and the chunks that they hold.
func (d *decay) files(n *process.Node) []string {
	d.Helper()
	files, err := filepath.Glob(filepath.Join(n.Drive, "chunks", "*", "*"))
	if err != nil {
		d.Fatal(err)
	}
	slices.Sort(files)
	return files
}

// flip flips one bit of one file, and makes sure that its page comes from the
// drive again.
func (d *decay) flip() {
	d.Helper()
	d.calm.Lock()
	defer d.calm.Unlock()
	node := d.rng.IntN(len(d.Nodes))
	files := d.files(d.Nodes[node])
	if len(files) == 0 {
		d.Fatal("a node holds nothing")
	}
	file := files[d.rng.IntN(len(files))]
	name := filepath.Base(file)
	spared := 0 // a node that keeps its copy of this chunk, by name
	for _, c := range []byte(name) {
		spared += int(c)
	}
	if node == spared%len(d.Nodes) {
		return
	}
	fi, err := os.Stat(file)
	if err != nil {
		return // replaced at this moment
	}
	var off int64
	switch n := d.rng.IntN(10); { // storage/disk/DESIGN.md has the layout
	case n == 0 && !d.dataOnly:
		off = int64(d.rng.IntN(512))
	case n == 1 && !d.dataOnly:
		off = 4096 + int64(d.rng.IntN(16*16))
	default:
		off = storage.BlockSize + d.rng.Int64N(fi.Size()-storage.BlockSize)
	}
	place := d.Nodes[node].Name + name + string(rune(max(0, off/storage.BlockSize)))
	if d.done[place] {
		return
	}
	d.done[place] = true
	if err := flipOnDrive(file, off); err != nil {
		d.Skipf("flip a bit past the page cache: %v", err)
	}
	switch {
	case off < 4096:
		d.heads++
	case off < storage.BlockSize:
		d.entries++
	default:
		d.blocks++
	}
}

// flipOnDrive changes a bit by direct I/O, and drops the file's pages.
func flipOnDrive(path string, off int64) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if err := f.Sync(); err != nil {
		return err
	}
	direct, err := os.OpenFile(path, os.O_RDWR|unix.O_DIRECT, 0)
	if err != nil {
		return err
	}
	defer func() { _ = direct.Close() }()
	buf := make([]byte, 3*4096)
	skip := -int(uintptr(unsafe.Pointer(&buf[0]))) & 4095
	page := buf[skip : skip+4096]
	at := off &^ 4095
	n, err := direct.ReadAt(page, at)
	if n == 0 {
		return err
	}
	page[off-at] ^= 1 << (off % 8)
	if n < len(page) { // the end of the file is not a whole page
		if _, err := f.WriteAt(page[off-at:off-at+1], off); err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return err
		}
	} else if _, err := direct.WriteAt(page, at); err != nil {
		return err
	}
	if err := unix.Fadvise(int(f.Fd()), at, 4096, unix.FADV_DONTNEED); err != nil {
		return err
	}
	var cached unix.Cachestat_t
	err = unix.Cachestat(uint(f.Fd()), &unix.CachestatRange{Off: uint64(at), Len: 4096}, &cached, 0)
	if err == nil && cached.Cache != 0 {
		return os.ErrExist // still in the cache
	}
	return nil
}

// count adds what the nodes have found since their starts.
func (d *decay) count() error {
	for _, n := range d.Nodes {
		m, err := n.Metrics(d.ctx)
		if err != nil {
			return err
		}
		d.corrupt += int(m.Sum("mccd_disk_corrupt_blocks_total"))
		d.damaged += int(m.Sum("mccd_disk_damaged_files_total"))
	}
	return nil
}

// tally compares what was found with what was flipped: every block and every
// header once, but for blocks in a file that went for its header or table.
func (d *decay) tally() {
	d.Helper()
	d.Logf("flipped bits: %d in headers, %d in tables, %d in blocks; found: %d headers, %d blocks",
		d.heads, d.entries, d.blocks, d.damaged, d.corrupt)
	if d.blocks == 0 || d.corrupt == 0 {
		d.Error("nothing was flipped or found: this tests nothing")
	}
	if d.corrupt > d.blocks || d.corrupt < d.blocks-8*d.heads-d.entries || d.damaged > d.heads {
		d.Errorf("%d blocks and %d headers were found", d.corrupt, d.damaged)
	}
}

// inspect stops the nodes and looks at every block of every drive.
func (d *decay) inspect() {
	d.Helper()
	if err := d.Close(stopGrace); err != nil {
		d.Fatal(err)
	}
	for _, n := range d.Nodes {
		s, err := disk.New(disk.Config{Drives: []disk.Drive{{Path: n.Drive, Size: 4 << 30}}})
		if err != nil {
			d.Fatal(err)
		}
		running, stop := context.WithCancel(d.ctx)
		done := make(chan error, 1)
		go func() { done <- s.Run(running) }()
		<-s.Indexed()
		blocks := int64(0)
		for key := range s.Keys {
			c, err := s.Lookup(key)
			if err != nil {
				d.Errorf("%s: chunk %s: %v", n.Name, key, err)
				continue
			}
			for off := int64(0); off < c.Len(); {
				ready, err := c.Ready(d.ctx, storage.Span{Off: off, End: c.Len()})
				if err != nil || ready == 0 {
					d.Errorf("%s: chunk %s at %d: %d, %v", n.Name, key, off, ready, err)
					break
				}
				off += ready
				blocks += ready / storage.BlockSize
			}
			c.Release()
		}
		if st := s.Stats(); st.Corrupt+st.Damaged > 0 || blocks == 0 {
			d.Errorf("%s: %d blocks rotten, %d files damaged, %d blocks read", n.Name, st.Corrupt, st.Damaged, blocks)
		}
		stop()
		<-done
		_ = s.Close()
	}
}
