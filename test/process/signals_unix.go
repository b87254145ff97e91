//go:build unix

package process

import (
	"os"
	"syscall"
)

// send signals the whole process group that p leads.
func send(p *os.Process, s syscall.Signal) error { return syscall.Kill(-p.Pid, s) }

// Pause stops the process as a hang would (SIGSTOP); its sockets stay open. On
// Linux it returns when all threads stand still: on a busy machine one of them
// may else go on to answer for a while.
func (n *Node) Pause() error {
	n.paused.Store(true)
	l, err := n.signal(syscall.SIGSTOP)
	if err != nil {
		return err
	}
	return awaitStop(l.cmd.Process.Pid)
}

// Resume lets a paused process go on (SIGCONT).
func (n *Node) Resume() error {
	_, err := n.signal(syscall.SIGCONT)
	n.paused.Store(false)
	return err
}
