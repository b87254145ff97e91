package e2e_test

import (
	"os"

	"golang.org/x/sys/unix"
)

// dropCache makes the next read of f come from the drive.
func dropCache(f *os.File) error {
	if err := f.Sync(); err != nil {
		return err
	}
	return unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
}
