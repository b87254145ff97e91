//go:build unix

package process

import (
	"os"
	"syscall"
)

// send signals the whole process group that p leads.
func send(p *os.Process, s syscall.Signal) error { return syscall.Kill(-p.Pid, s) }

// Pause stops the process as a hang would (SIGSTOP); its sockets stay open.
func (n *Node) Pause() error {
	n.paused.Store(true)
	_, err := n.signal(syscall.SIGSTOP)
	return err
}

// Resume lets a paused process go on (SIGCONT).
func (n *Node) Resume() error {
	_, err := n.signal(syscall.SIGCONT)
	n.paused.Store(false)
	return err
}
