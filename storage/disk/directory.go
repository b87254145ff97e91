package disk

import (
	"fmt"
	"os"
	"path/filepath"
)

// LockDirectory keeps every other process, and every other call, out of dir
// until the returned function is called or the process ends. The error is
// ErrLocked when somebody else has it.
func LockDirectory(dir string) (unlock func() error, err error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock directory: %w", err)
	}
	if err := lockFile(f); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("lock directory %s: %w", dir, err)
	}
	return f.Close, nil
}
