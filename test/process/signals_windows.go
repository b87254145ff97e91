package process

import (
	"errors"
	"os"
	"syscall"
)

// send ends p: Windows has no other signal for it.
func send(p *os.Process, _ syscall.Signal) error { return p.Kill() }

// ownGroup: nothing to set.
func ownGroup() *syscall.SysProcAttr { return nil }

// Pause is not possible here.
func (n *Node) Pause() error { return errors.ErrUnsupported }

// Resume is not possible here.
func (n *Node) Resume() error { return errors.ErrUnsupported }
