//go:build !linux && !darwin && !freebsd

package config

// freeSpace is not learned here; the default drive has a fixed size.
func freeSpace(string) (uint64, bool) { return 0, false }
