//go:build unix

package consensus

import "os"

// syncDir makes a rename in dir last; what fails here shows at the next start
// as the file before.
func syncDir(dir string) {
	if d, err := os.Open(dir); err == nil {
		_ = d.Sync()
		_ = d.Close()
	}
}
