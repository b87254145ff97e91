package e2e_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/faultorigin"
	"github.com/mccd/mccd/test/process/herd"
)

// TestRestart: a node that comes back with its disk asks the origin for
// nothing, whether it was stopped in order or killed.
func TestRestart(t *testing.T) {
	b := newBed(t, setting{})
	o := b.object("/filestreamingservice/files/kept", 48*mib+12345)
	n := b.Nodes[0]
	b.read(o, 0, o.Whole())
	b.once(o)
	for name, end := range map[string]func() error{
		"stopped": func() error { return n.Stop(b.ctx) },
		"killed":  n.Kill,
	} {
		if err := end(); err != nil {
			t.Fatal(err)
		}
		if err := n.Restart(b.ctx); err != nil {
			t.Fatal(err)
		}
		b.read(o, 0, o.Whole())
		b.read(o, 0, o.Shuffled(1))
		if sent := b.origin.Ledger().Bytes(o.Path); sent != o.Size {
			t.Errorf("%s: the origin sent %d bytes again", name, sent-o.Size)
		}
	}
}

// TestRestartInCluster: the same for one of three, while the others serve.
func TestRestartInCluster(t *testing.T) {
	b := newBed(t, setting{nodes: 3})
	o := b.object("/filestreamingservice/files/kept3", 64*mib)
	for i := range b.Nodes {
		b.read(o, i, o.Whole())
	}
	b.once(o)
	for i, n := range b.Nodes {
		if err := n.Kill(); err != nil {
			t.Fatal(err)
		}
		// While it is away, and at once after it is back.
		b.read(o, (i+1)%len(b.Nodes), o.Shuffled(uint64(i)))
		if err := n.Restart(b.ctx); err != nil {
			t.Fatal(err)
		}
		b.read(o, i, o.Whole())
		if err := b.Together(b.ctx); err != nil {
			t.Fatal(err)
		}
	}
	b.once(o)
}

// TestReturnedNode: what a node alone held when it was killed is had from it
// again as soon as it is back, also by those who found it dead meanwhile:
// whether it is back before gossip has told them that it failed, or after.
func TestReturnedNode(t *testing.T) {
	for name, seenDead := range map[string]bool{"at once": false, "after all saw it dead": true} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, setting{nodes: 3})
			o := b.object("/filestreamingservice/files/alone", 64*mib)
			other := b.object("/filestreamingservice/files/other", 64*mib)
			b.read(o, victim, o.Whole())
			b.once(o)
			if err := b.Nodes[victim].Kill(); err != nil {
				t.Fatal(err)
			}
			for i := range b.Nodes {
				if i != victim {
					b.read(other, i, other.Whole())
				}
			}
			b.once(other)
			if seenDead {
				if err := b.Together(b.ctx); err != nil {
					t.Fatal(err)
				}
			}
			if err := b.Nodes[victim].Restart(b.ctx); err != nil {
				t.Fatal(err)
			}
			if err := b.Together(b.ctx); err != nil {
				t.Fatal(err)
			}
			for i := range b.Nodes {
				b.read(o, i, o.Whole())
			}
			b.once(o)
		})
	}
}

// TestFlippedBlock: a flipped bit is never served, is fetched again, and is
// counted.
func TestFlippedBlock(t *testing.T) {
	const size = 24 * mib
	flips := []int64{5, 3*mib + 77, 3*mib + storage.BlockSize, 5 * mib, 8*mib + storage.BlockSize + 1, size - 9}
	t.Run("while the node is stopped", func(t *testing.T) {
		b := newBed(t, setting{})
		o := b.object("/filestreamingservice/files/flip", size)
		n := b.Nodes[0]
		b.read(o, 0, o.Whole())
		if err := n.Stop(b.ctx); err != nil {
			t.Fatal(err)
		}
		b.flip(o, flips)
		if err := n.Restart(b.ctx); err != nil {
			t.Fatal(err)
		}
		b.expectRepair(o, len(flips))
	})
	t.Run("under a dropped page cache", func(t *testing.T) {
		b := newBed(t, setting{})
		o := b.object("/filestreamingservice/files/flip", size)
		b.read(o, 0, o.Whole())
		b.flip(o, flips)
		b.expectRepair(o, len(flips))
	})
}

// expectRepair reads o twice: the first read finds what was flipped.
func (b *bed) expectRepair(o *herd.Object, blocks int) {
	b.Helper()
	before := b.origin.Ledger().Bytes(o.Path)
	b.read(o, 0, o.Whole())
	again := b.origin.Ledger().Bytes(o.Path) - before
	m, err := b.Nodes[0].Metrics(b.ctx)
	if err != nil {
		b.Fatal(err)
	}
	corrupt := m.Sum("mccd_disk_corrupt_blocks_total")
	b.Logf("%d blocks flipped, %v counted, %d bytes fetched again", blocks, corrupt, again)
	if corrupt != float64(blocks) {
		b.Errorf("%v corrupt blocks counted, not %d", corrupt, blocks)
	}
	// Repair fetches pieces of 1 MiB around what is wrong, at least the blocks.
	if again < int64(blocks)*storage.BlockSize || again > int64(blocks)*storage.PieceSize {
		b.Errorf("%d bytes fetched again for %d blocks", again, blocks)
	}
	b.read(o, 0, o.Shuffled(9))
	if more := b.origin.Ledger().Bytes(o.Path) - before - again; more != 0 {
		b.Errorf("%d bytes fetched a third time", more)
	}
}

// flip changes one bit of each of the object's bytes at offs on node 0's
// drive, and then drops the files from the page cache, so that the node's next
// read comes from the drive. The bytes are found by their content, so the test
// does not depend on the files' layout.
func (b *bed) flip(o *herd.Object, offs []int64) {
	b.Helper()
	at := b.locate(o, offs)
	touched := map[string]*os.File{}
	for i, place := range at {
		f, err := os.OpenFile(place.file, os.O_RDWR, 0)
		if err != nil {
			b.Fatalf("flip byte %d: %v", offs[i], err)
		}
		defer func() { _ = f.Close() }()
		touched[place.file] = f
		var one [1]byte
		_, err = f.ReadAt(one[:], place.off)
		one[0] ^= 0x10
		if err == nil {
			_, err = f.WriteAt(one[:], place.off)
		}
		if err != nil {
			b.Fatalf("flip byte %d: %v", offs[i], err)
		}
	}
	for name, f := range touched {
		if err := dropCache(f); err != nil {
			b.Skipf("drop %s from the page cache: %v", filepath.Base(name), err)
		}
	}
}

// place is where a byte lies.
type place struct {
	file string
	off  int64
}

// locate finds the object's bytes at offs on node 0's drive.
func (b *bed) locate(o *herd.Object, offs []int64) []place {
	b.Helper()
	places := make([]place, len(offs))
	err := filepath.WalkDir(b.Nodes[0].Drive, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		for i, off := range offs {
			block := off / storage.BlockSize * storage.BlockSize
			begin := make([]byte, 512)
			faultorigin.Fill(begin, o.Path, faultorigin.DefaultVersion, block)
			if at := bytes.Index(text, begin); at >= 0 {
				places[i] = place{path, int64(at) + off - block}
			}
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	for i, p := range places {
		if p.file == "" {
			b.Fatalf("byte %d of %s is not on the drive", offs[i], o.Path)
		}
	}
	return places
}
