// Package testcluster runs real nodes in one process, built the way the binary
// builds them, for tests that need more than one.
package testcluster
