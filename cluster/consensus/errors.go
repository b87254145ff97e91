package consensus

import (
	"errors"
	"fmt"

	"github.com/mccd/mccd/cluster/state"
)

var (
	// ErrUnknownOutcome tells that a command may or may not take effect: the
	// leadership was lost, or the time was up, after it was sent. Whoever sent
	// it reads before sending it again.
	ErrUnknownOutcome = errors.New("it is not known whether the command took effect")
	// ErrNotApplied tells that a command certainly took no effect and may be
	// sent again.
	ErrNotApplied = errors.New("the command was not taken in")
	// ErrHalted tells that this node's log holds a command that it cannot
	// read. It applies nothing more until it is upgraded.
	ErrHalted = errors.New("this node has stopped applying the cluster's commands")
	// ErrRecoverEmpty refuses to recover where there is nothing to recover
	// from.
	ErrRecoverEmpty = errors.New("neither a log nor a state is here")
)

// NotLeaderError tells that another node has to be asked; nothing was done.
// Without a known leader it is state.ErrNoQuorum to errors.Is.
type NotLeaderError struct {
	// Leader is the node id of the leader, empty = none is known.
	Leader string
}

func (e *NotLeaderError) Error() string {
	if e.Leader == "" {
		return "no leader is known: " + state.ErrNoQuorum.Error()
	}
	return fmt.Sprintf("the leader is node %s", e.Leader)
}

// Is reports that a missing leader is a missing quorum.
func (e *NotLeaderError) Is(target error) bool { return e.Leader == "" && target == state.ErrNoQuorum }
