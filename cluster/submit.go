package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/mccd/mccd/cluster/consensus"
	"github.com/mccd/mccd/cluster/state"
	clusterv1 "github.com/mccd/mccd/proto/mccd/cluster/v1"
)

// submitTimeout bounds a write: without a quorum it fails within it, and says
// why (DESIGN.md).
const submitTimeout = 1800 * time.Millisecond

// submit has cmd written and returns what became of it; an error of package
// state tells that it was refused, state.ErrNoQuorum that nothing was written,
// state.ErrUnknownOutcome that it may have been.
func (m *membership) submit(ctx context.Context, cmd state.Command) (state.Result, error) {
	if m.raft == nil {
		return state.Result{}, state.ErrNoCluster
	}
	ctx, cancel := context.WithTimeout(ctx, submitTimeout)
	defer cancel()
	var last error
	for {
		res, err := m.try(ctx, cmd)
		if !errors.Is(err, errNotLeader) {
			if err != nil {
				return res, err
			}
			return res, res.Err
		}
		last = err
		select {
		case <-ctx.Done():
			return state.Result{}, m.noQuorum(last)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// errNotLeader tells that nothing was written, and that it may be tried again.
var errNotLeader = errors.New("no leader took it")

// try writes cmd here or at the leader, once.
func (m *membership) try(ctx context.Context, cmd state.Command) (state.Result, error) {
	res, err := m.raft.Apply(ctx, cmd)
	notLeader, elsewhere := errors.AsType[*consensus.NotLeaderError](err)
	switch {
	case err == nil, res.Err != nil:
		return res, nil //nolint:nilerr // refused: res says so
	case errors.Is(err, consensus.ErrNotApplied):
		return res, fmt.Errorf("%w: %w", errNotLeader, err)
	case errors.Is(err, consensus.ErrUnknownOutcome):
		return res, fmt.Errorf("%w: %w", state.ErrUnknownOutcome, err)
	case !elsewhere:
		return res, err
	case notLeader.Leader == "" || notLeader.Leader == m.c.id:
		return res, fmt.Errorf("%w: %w", errNotLeader, err)
	}
	client, err := m.reached(ctx, notLeader.Leader)
	if err != nil {
		return res, fmt.Errorf("%w: leader %s: %w", errNotLeader, m.nameOf(notLeader.Leader), err)
	}
	raw, err := state.Encode(cmd, 0)
	if err != nil {
		return res, err
	}
	answer, err := client.Submit(ctx, &clusterv1.SubmitRequest{Command: raw})
	switch code := status.Code(err); {
	case err == nil:
		res = state.Result{Index: answer.GetIndex(), TimeUnix: answer.GetTimeUnix(), Revision: answer.GetRevision()}
		res.Node.ID = answer.GetNode()
		if answer.GetCode() != "" {
			res.Err = state.FromCode(answer.GetCode(), answer.GetText())
		}
		return res, nil
	case code == codes.PermissionDenied && status.Convert(err).Message() == state.ErrNodeRemoved.Error():
		m.noteRefusal(err)
		return res, state.ErrNodeRemoved
	case code == codes.FailedPrecondition, code == codes.Unimplemented, code == codes.PermissionDenied:
		return res, fmt.Errorf("%w: leader %s: %s", errNotLeader, m.nameOf(notLeader.Leader), status.Convert(err).Message())
	default:
		return res, fmt.Errorf("%w: leader %s: %s", state.ErrUnknownOutcome, m.nameOf(notLeader.Leader), status.Convert(err).Message())
	}
}

// noQuorum says why nothing can be written.
func (m *membership) noQuorum(cause error) error {
	q := m.raft.Quorum()
	alive := 0
	for _, id := range q.Voters {
		if m.alive(id) {
			alive++
		}
	}
	why := "no leader is known"
	if q.HasLeader {
		why = cause.Error()
	}
	return fmt.Errorf("%w: %d of %d voters answer here: %s; downloads go on; bring voters back, or see mccd recover",
		state.ErrNoQuorum, alive, len(q.Voters), why)
}

// read returns the state as it is now, linearizable: asked of the leader.
func (m *membership) read(ctx context.Context) (*state.State, error) {
	if m.raft == nil {
		return nil, state.ErrNoCluster
	}
	ctx, cancel := context.WithTimeout(ctx, submitTimeout)
	defer cancel()
	for {
		st, err := m.tryRead(ctx)
		if err == nil {
			return st, nil
		}
		select {
		case <-ctx.Done():
			return nil, m.noQuorum(err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (m *membership) tryRead(ctx context.Context) (*state.State, error) {
	st, err := m.raft.Read(ctx)
	notLeader, elsewhere := errors.AsType[*consensus.NotLeaderError](err)
	if !elsewhere || notLeader.Leader == "" || notLeader.Leader == m.c.id {
		return st, err
	}
	client, err := m.reached(ctx, notLeader.Leader)
	if err != nil {
		return nil, fmt.Errorf("leader %s: %w", m.nameOf(notLeader.Leader), err)
	}
	answer, err := client.Read(ctx, &clusterv1.ReadRequest{})
	if err != nil {
		return nil, fmt.Errorf("leader %s: %s", m.nameOf(notLeader.Leader), status.Convert(err).Message())
	}
	return state.Unmarshal(answer.GetState())
}

// applied waits until this node has applied the command at index.
func (m *membership) applied(ctx context.Context, index uint64) error {
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for {
		if m.state().Index >= index {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the state at %d: %w", index, ctx.Err())
		case <-ticker.C:
		}
	}
}
