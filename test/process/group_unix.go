//go:build unix && !linux

package process

import "syscall"

// ownGroup makes the child lead a group of its own.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// awaitStop does not wait here.
func awaitStop(int) error { return nil }
