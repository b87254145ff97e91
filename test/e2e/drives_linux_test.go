package e2e_test

import (
	"path/filepath"
	"sync"
	"testing"

	"github.com/mccd/mccd/cluster/admin"
)

// TestReplaceDrive: a drive is added and another replaced while clients read: no
// byte is wrong, and none is fetched again.
func TestReplaceDrive(t *testing.T) {
	old := filepath.Join(t.TempDir(), "old")
	b := newBed(t, setting{amend: onDrive(old)})
	o := b.object("/filestreamingservice/files/moved", 64*mib+4321)
	b.read(o, 0, o.Whole())
	b.once(o)
	client, err := admin.Dial(b.ctx, b.Nodes[0].Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	second, third := filepath.Join(t.TempDir(), "second"), filepath.Join(t.TempDir(), "third")
	if _, err := client.AddDrive(b.ctx, second, 1<<30); err != nil {
		t.Fatal(err)
	}
	if _, err := client.AddDrive(b.ctx, second, 1<<30); err == nil {
		t.Error("a drive was added twice")
	}
	var wg sync.WaitGroup
	for i := range uint64(3) {
		wg.Go(func() {
			b.read(o, 0, o.Shuffled(i))
			b.read(o, 0, o.Whole())
		})
	}
	var moved int64
	yaml, err := client.ReplaceDrive(b.ctx, old, third, 1<<30, func(done, _ int64) { moved = done })
	wg.Wait()
	if err != nil || yaml == "" {
		t.Fatalf("replace: %v", err)
	}
	t.Logf("moved %d bytes at the last word\n%s", moved, yaml)
	b.read(o, 0, o.Whole())
	b.once(o)
	status, err := client.Status(b.ctx)
	if err != nil {
		t.Fatal(err)
	}
	if len(status.Drives) != 2 || status.Drives[0].Path != second || status.Drives[1].Path != third || len(status.Warnings) == 0 {
		t.Errorf("drives %+v, warnings %q", status.Drives, status.Warnings)
	}
}
