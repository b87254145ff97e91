package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// mount gives the test a small file system of its own.
func mount(t *testing.T, size string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("starts processes; not with -short")
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root, to mount a small file system")
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("mount a small file system: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

// onDrive makes node 0 keep content at path, down to the last byte of it.
func onDrive(path string) func(int, map[string]any) {
	return func(_ int, settings map[string]any) {
		settings["drives"] = []map[string]any{{"path": path, "size": "4GiB"}}
		settings["limits"] = map[string]any{"free_space": "64KiB"}
	}
}

// TestFullDrive: the drive fills up in the middle of an object. Every byte is
// served all the same, and the node says why it no longer stores.
func TestFullDrive(t *testing.T) {
	dir := filepath.Join(mount(t, "20m"), "cache")
	b := newBed(t, setting{amend: onDrive(dir)})
	o := b.object("/filestreamingservice/files/big", 64*mib)
	// Somebody else fills the drive meanwhile, so that there is nothing of its
	// own that the node could evict for room.
	other, err := os.Create(filepath.Join(filepath.Dir(dir), "ballast"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	if err := unix.Fallocate(int(other.Fd()), 0, 0, 17*mib); err != nil {
		t.Fatal(err)
	}
	b.read(o, 0, o.Whole())
	b.read(o, 0, o.Shuffled(2))
	b.saysOfDrive("full")
	m, err := b.Nodes[0].Metrics(b.ctx)
	if err != nil {
		t.Fatal(err)
	}
	if m.Sum("mccd_disk_memory_bytes") == 0 {
		t.Error("no bytes in memory while the drive is full")
	}
	b.once(o)
}

// TestReadOnlyDrive: a node whose drive cannot be written serves what it
// holds and, from memory, what it does not.
func TestReadOnlyDrive(t *testing.T) {
	root := mount(t, "100m")
	dir := filepath.Join(root, "cache")
	b := newBed(t, setting{amend: onDrive(dir)})
	held := b.object("/filestreamingservice/files/held", 24*mib)
	b.read(held, 0, held.Whole())
	n := b.Nodes[0]
	if err := n.Stop(b.ctx); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("", root, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Skipf("make the file system read-only: %v", err)
	}
	if err := n.Restart(b.ctx); err != nil {
		t.Fatal(err)
	}
	b.read(held, 0, held.Whole())
	b.once(held)
	fresh := b.object("/filestreamingservice/files/fresh", 24*mib)
	b.read(fresh, 0, fresh.Whole())
	b.read(fresh, 0, fresh.Shuffled(4))
	b.once(fresh)
	b.saysOfDrive("read-only")
}

// saysOfDrive waits until node 0's status names the drive's trouble.
func (b *bed) saysOfDrive(trouble string) {
	b.Helper()
	n := b.Nodes[0]
	status, err := n.Status(b.ctx)
	if err != nil {
		b.Fatal(err)
	}
	if len(status.Drives) != 1 || !strings.Contains(status.Drives[0].State, trouble) {
		b.Errorf("status does not say that the drive is %s: %+v, warnings %q", trouble, status.Drives, status.Warnings)
		return
	}
	b.Logf("status: %+v", status.Drives[0])
	m, err := n.Metrics(b.ctx)
	if err != nil {
		b.Fatal(err)
	}
	if got, want := m.Sum("mccd_disk_state"), map[string]float64{"full": 1, "read-only": 2}[trouble]; got != want {
		b.Errorf("mccd_disk_state is %v, not %v (%s)", got, want, trouble)
	}
}
