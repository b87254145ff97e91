package process

import "syscall"

// ownGroup makes the child lead a group of its own, away from the terminal's
// Ctrl-C, and die with its parent.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
