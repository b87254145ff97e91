package consensus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"github.com/mccd/mccd/cluster/state"
)

// Apply puts a command into the log, stamped with this node's clock, and
// returns once a majority of the voters has it and it is applied here, at
// most Timing.Apply later. It works at the leader: elsewhere, and where there
// is none, it is a *NotLeaderError. ErrNotApplied: it took no effect.
// ErrUnknownOutcome: it may have. Any other error is Result.Err's, the same on
// all nodes.
func (c *Consensus) Apply(ctx context.Context, cmd state.Command) (state.Result, error) {
	result, err := c.apply(ctx, cmd)
	c.metrics.count(err)
	return result, err
}

func (c *Consensus) apply(ctx context.Context, cmd state.Command) (state.Result, error) {
	r, err := c.leading()
	if err != nil {
		return state.Result{}, err
	}
	raw, err := state.Encode(cmd, time.Now().Unix())
	if err != nil {
		return state.Result{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timing.Apply)
	defer cancel()
	// What waits to be taken in when the time is up is still taken in later by
	// the library's own loop, never after this bound.
	future := r.Apply(raw, c.cfg.Timing.Apply)
	switch err := c.await(ctx, future); {
	case err == nil:
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrLeadershipTransferInProgress):
		return state.Result{}, c.notLeader()
	case errors.Is(err, raft.ErrEnqueueTimeout):
		return state.Result{}, fmt.Errorf("%w: %w", ErrNotApplied, err)
	default:
		return state.Result{}, fmt.Errorf("%w: %w", ErrUnknownOutcome, err)
	}
	switch answer := future.Response().(type) {
	case state.Result:
		return answer, answer.Err
	case error:
		// It is agreed, and others apply it; this node cannot tell how.
		return state.Result{}, fmt.Errorf("%w: %w", ErrUnknownOutcome, answer)
	default:
		return state.Result{}, fmt.Errorf("%w: Raft answered %T", ErrUnknownOutcome, answer)
	}
}

// Read returns a State that holds every command whose Apply returned, on any
// node, before Read was called. It works at the leader, within Timing.Apply,
// and costs an entry in the log; *NotLeaderError elsewhere.
func (c *Consensus) Read(ctx context.Context) (*state.State, error) {
	r, err := c.leading()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timing.Apply)
	defer cancel()
	switch err := c.await(ctx, r.Barrier(c.cfg.Timing.Apply)); {
	case err == nil:
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrLeadershipLost), errors.Is(err, raft.ErrLeadershipTransferInProgress):
		return nil, c.notLeader()
	default:
		return nil, fmt.Errorf("read the state: %w", err)
	}
	st, _, halted := c.machine.now()
	if halted != nil {
		return nil, halted
	}
	return st, nil
}

// leading returns Raft where this node leads and can apply.
func (c *Consensus) leading() (*raft.Raft, error) {
	r := c.raft.Load()
	if r == nil || r.State() != raft.Leader {
		return nil, c.notLeader()
	}
	if _, _, halted := c.machine.now(); halted != nil {
		return nil, halted
	}
	return r, nil
}

// notLeader names the leader that this node knows, which is not itself.
func (c *Consensus) notLeader() error {
	id, _ := c.Leader()
	if id == c.cfg.ID {
		id = ""
	}
	return &NotLeaderError{Leader: id}
}

// Leader returns the leader's node id; false = none is known. The library's own
// answer does not do for a candidate: a former leader's heartbeat that comes in
// between its hand-over and the next term stays that answer for as long as the
// node is a candidate (raft.go, timeoutNow and processHeartbeat).
func (c *Consensus) Leader() (id string, ok bool) {
	r := c.raft.Load()
	if r == nil {
		return "", false
	}
	if s := r.State(); s == raft.Candidate || s == raft.Shutdown {
		return "", false
	}
	_, leader := r.LeaderWithID()
	return string(leader), leader != ""
}

// IsLeader reports whether this node leads, as far as it knows.
func (c *Consensus) IsLeader() bool {
	r := c.raft.Load()
	return r != nil && r.State() == raft.Leader
}

// TransferLeadership hands the leadership to a voter that answers; nil = this
// node leads no more. *NotLeaderError where it does not lead.
func (c *Consensus) TransferLeadership(ctx context.Context) error {
	r := c.raft.Load()
	if r == nil || r.State() != raft.Leader {
		return c.notLeader()
	}
	if err := c.transfer(ctx, r); err != nil {
		return fmt.Errorf("hand over the leadership: %w", err)
	}
	return nil
}

// transfer tries the voters that answer, one after the other. The library,
// left to choose, may wait for a dead one.
func (c *Consensus) transfer(ctx context.Context, r *raft.Raft) error {
	err := errors.New("no other voter answers")
	for _, id := range c.Quorum().Voters {
		if id == c.cfg.ID || c.cfg.Alive != nil && !c.cfg.Alive(id) {
			continue
		}
		err = c.await(ctx, r.LeadershipTransferToServer(raft.ServerID(id), raft.ServerAddress(id)))
		if err == nil || ctx.Err() != nil || r.State() != raft.Leader {
			break
		}
	}
	if err != nil && r.State() != raft.Leader {
		return nil
	}
	return err
}
