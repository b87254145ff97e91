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

// TestFlippedBlock: a flipped bit is never served, is fetched again, and is
// counted.
func TestFlippedBlock(t *testing.T) {
	const size = 24 * mib
	flipAt := []int64{5, 3*mib + 77, 8*mib + storage.BlockSize + 1, size - 9}
	t.Run("while the node is stopped", func(t *testing.T) {
		b := newBed(t, setting{})
		o := b.object("/filestreamingservice/files/flip", size)
		n := b.Nodes[0]
		b.read(o, 0, o.Whole())
		if err := n.Stop(b.ctx); err != nil {
			t.Fatal(err)
		}
		for _, off := range flipAt {
			b.flip(o, off, false)
		}
		if err := n.Restart(b.ctx); err != nil {
			t.Fatal(err)
		}
		b.expectRepair(o, len(flipAt))
	})
	t.Run("under a dropped page cache", func(t *testing.T) {
		b := newBed(t, setting{})
		o := b.object("/filestreamingservice/files/flip", size)
		b.read(o, 0, o.Whole())
		for _, off := range flipAt {
			b.flip(o, off, true)
		}
		b.expectRepair(o, len(flipAt))
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

// flip changes one bit of the object's byte off on node 0's drive, and drops
// the file from the page cache if told so. The byte is found by its content,
// so the test does not depend on the file's layout.
func (b *bed) flip(o *herd.Object, off int64, drop bool) {
	b.Helper()
	block := off / storage.BlockSize * storage.BlockSize
	start := make([]byte, 512)
	faultorigin.Fill(start, o.Path, faultorigin.DefaultVersion, block)
	flipped := false
	err := filepath.WalkDir(b.Nodes[0].Drive, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || flipped {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		at := bytes.Index(text, start)
		if at < 0 {
			return nil
		}
		flipped = true
		return flipByte(path, int64(at)+off-block, drop)
	})
	if err != nil || !flipped {
		b.Fatalf("flip byte %d of %s: found %t, %v", off, o.Path, flipped, err)
	}
}

func flipByte(path string, at int64, drop bool) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	var one [1]byte
	if _, err := f.ReadAt(one[:], at); err != nil {
		return err
	}
	one[0] ^= 0x10
	if _, err := f.WriteAt(one[:], at); err != nil {
		return err
	}
	if !drop {
		return nil
	}
	return dropCache(f)
}
