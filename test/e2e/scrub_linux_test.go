package e2e_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/process"
	"github.com/mccd/mccd/test/process/herd"
	"github.com/mccd/mccd/test/process/presence"
)

// TestScrubRepairsFromHolders: bits rotted on the drives of a cluster that
// nobody asks for anything. The scrub finds each of them and takes the blocks
// from a node that holds them; the origin hears nothing of it.
func TestScrubRepairsFromHolders(t *testing.T) {
	b := newBed(t, setting{nodes: 3, amend: func(_ int, settings map[string]any) {
		settings["limits"] = map[string]any{"scrub_rate": "256MiB"}
	}})
	var objects []*herd.Object
	for _, name := range []string{"a", "b", "c"} {
		o := b.object("/filestreamingservice/files/scrub-"+name, 16*mib)
		objects = append(objects, o)
		for node := range b.Nodes {
			b.read(o, node, o.Whole())
		}
	}
	for _, n := range b.Nodes {
		if err := n.Stop(b.ctx); err != nil {
			t.Fatal(err)
		}
	}
	seed := uint64(time.Now().UnixNano()) & 0xffffffff
	t.Logf("seed %d", seed)
	d := &decay{bed: b, rng: rand.New(rand.NewPCG(seed, 12)), done: map[string]bool{}, dataOnly: true}
	for range 40 {
		d.flip()
	}
	for _, n := range b.Nodes {
		for _, file := range d.files(n) {
			dropPages(t, file)
		}
	}
	if err := b.StartAll(b.ctx, nil); err != nil {
		t.Fatal(err)
	}
	err := process.Poll(b.ctx, func(ctx context.Context) error {
		if d.corrupt = 0; d.count() != nil || d.corrupt < d.blocks {
			return fmt.Errorf("%d blocks of %d found", d.corrupt, d.blocks)
		}
		return d.complete(ctx)
	})
	if err != nil {
		t.Error(err)
	}
	d.tally()
	for _, o := range objects {
		b.once(o)
	}
	d.inspect()
}

// complete returns an error unless every node has every block.
func (d *decay) complete(ctx context.Context) error {
	var drives []string
	for _, n := range d.Nodes {
		drives = append(drives, n.Drive)
	}
	snapshot, err := presence.Take(drives...)
	if err != nil {
		return err
	}
	sets, err := snapshot.Sets(ctx)
	if err != nil {
		return err
	}
	for i, set := range sets {
		for key, c := range set {
			if want := int((c.Len + storage.BlockSize - 1) / storage.BlockSize); c.Present.Count() != want {
				return fmt.Errorf("node %d has %d of %d blocks of %s", i+1, c.Present.Count(), want, key)
			}
		}
	}
	return nil
}

// dropPages takes a file out of the page cache.
func dropPages(t *testing.T, path string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
		t.Fatal(err)
	}
}
