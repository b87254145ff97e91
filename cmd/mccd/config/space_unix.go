//go:build linux || darwin || freebsd

package config

import "golang.org/x/sys/unix"

// freeSpace returns the bytes that dir's file system gives to this user.
func freeSpace(dir string) (uint64, bool) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, false
	}
	return uint64(st.Bavail) * uint64(st.Bsize), true //nolint:unconvert // signed on FreeBSD
}
