//go:build !unix

package identity

import "io/fs"

// Access is by the folder's own list here, which modes do not show.
func openToOthers(fs.FileMode) bool     { return false }
func writableByOthers(fs.FileMode) bool { return false }

// syncDir has no meaning where folders cannot be synced.
func syncDir(string) error { return nil }
