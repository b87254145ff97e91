//go:build unix

package disk

import (
	"os"

	"golang.org/x/sys/unix"
)

// lockFile takes the lock of f for as long as f is open; ErrLocked when
// another open file has it.
func lockFile(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == unix.EWOULDBLOCK {
		return ErrLocked
	}
	return err
}
