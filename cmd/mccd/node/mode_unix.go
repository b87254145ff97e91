//go:build unix

package node

import "io/fs"

// openToOthers reports whether a file may be read by other users.
func openToOthers(m fs.FileMode) bool { return m.Perm()&0o044 != 0 }
