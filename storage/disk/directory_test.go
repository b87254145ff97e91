package disk_test

import (
	"errors"
	"testing"

	"github.com/mccd/mccd/storage/disk"
)

func TestLockDirectory(t *testing.T) {
	dir := t.TempDir()
	unlock, err := disk.LockDirectory(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := disk.LockDirectory(dir); !errors.Is(err, disk.ErrLocked) {
		t.Errorf("a second lock: %v", err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	again, err := disk.LockDirectory(dir)
	if err != nil {
		t.Fatalf("after the first was given back: %v", err)
	}
	if err := again(); err != nil {
		t.Error(err)
	}
}
