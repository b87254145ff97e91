//go:build !unix

package node

import "io/fs"

// openToOthers is not told by the mode here.
func openToOthers(fs.FileMode) bool { return false }
