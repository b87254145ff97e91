//go:build unix

package identity

import (
	"fmt"
	"io/fs"
	"os"
)

func openToOthers(m fs.FileMode) bool     { return m.Perm()&0o077 != 0 }
func writableByOthers(m fs.FileMode) bool { return m.Perm()&0o022 != 0 }

// syncDir makes renames in dir last.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	return nil
}
