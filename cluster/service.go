package cluster

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/mccd/mccd/cluster/consensus"
	"github.com/mccd/mccd/cluster/identity"
	"github.com/mccd/mccd/cluster/state"
	"github.com/mccd/mccd/cluster/wire"
	clusterv1 "github.com/mccd/mccd/proto/mccd/cluster/v1"
)

// rules say who may call what on the port between nodes.
func rules() wire.Rules {
	const service = "/mccd.cluster.v1.Cluster/"
	return wire.Rules{
		service + "Join":       {wire.RoleNone, wire.RoleNode},
		service + "Renew":      {wire.RoleNode, wire.RoleExpired},
		service + "Announce":   {wire.RoleNode, wire.RoleExpired, wire.RoleUnknown},
		service + "Submit":     {wire.RoleNode},
		service + "Read":       {wire.RoleNode},
		service + "Stage":      {wire.RoleNode},
		service + "Stats":      {wire.RoleNode},
		service + "ServedTLS":  {wire.RoleNode},
		"/mccd.peer.v1.Peer/*": {wire.RoleNode},
	}
}

// service is the control side of this node as others see it.
type service struct {
	clusterv1.UnimplementedClusterServer
	c *Cluster
}

// Announce takes in where the caller is, and tells where all are.
func (s *service) Announce(ctx context.Context, req *clusterv1.AnnounceRequest) (*clusterv1.AnnounceResponse, error) {
	m := s.c.current.Load()
	own := m.id.Load().ClusterID
	answer := &clusterv1.AnnounceResponse{Id: s.c.id}
	if m.raft == nil {
		return answer, nil
	}
	st := m.state()
	answer.ClusterId, answer.Generation, answer.RecoveryId = own, st.Generation, st.RecoveryID
	caller, _ := wire.PeerFrom(ctx)
	if req.GetClusterId() != own || caller.NodeID != req.GetAddress().GetId() {
		return answer, nil
	}
	if caller.Role == wire.RoleNode {
		m.sawGeneration(caller.NodeID, req.GetGeneration(), req.GetRecoveryId())
	}
	m.book.hear(caller.NodeID)
	if m.book.say(caller.NodeID, placeFromProto(req.GetAddress())) {
		m.wake()
	}
	answer.Addresses = m.book.all()
	return answer, nil
}

// Submit writes a command, on the leader.
func (s *service) Submit(ctx context.Context, req *clusterv1.SubmitRequest) (*clusterv1.SubmitResponse, error) {
	m := s.c.current.Load()
	if m.raft == nil {
		return nil, status.Error(codes.FailedPrecondition, state.ErrNoCluster.Error())
	}
	cmd, _, err := state.Decode(req.GetCommand())
	if err != nil {
		return &clusterv1.SubmitResponse{Code: state.Code(err), Text: err.Error()}, nil
	}
	if err := m.mayWrite(ctx, cmd); err != nil {
		if errors.Is(err, errCaller) {
			return nil, status.Error(codes.PermissionDenied, err.Error())
		}
		return &clusterv1.SubmitResponse{Code: state.Code(err), Text: err.Error()}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, submitTimeout)
	defer cancel()
	res, err := m.raft.Apply(ctx, cmd)
	if _, elsewhere := errors.AsType[*consensus.NotLeaderError](err); elsewhere {
		return nil, status.Error(codes.FailedPrecondition, err.Error())
	}
	switch {
	case res.Err != nil: // applied, and refused
	case errors.Is(err, consensus.ErrNotApplied):
		return nil, status.Error(codes.FailedPrecondition, err.Error())
	case err != nil:
		return nil, status.Error(codes.Unknown, err.Error())
	}
	answer := &clusterv1.SubmitResponse{Index: res.Index, TimeUnix: res.TimeUnix, Revision: res.Revision, Node: res.Node.ID}
	if res.Err != nil {
		answer.Code, answer.Text = state.Code(res.Err), res.Err.Error()
	}
	return answer, nil
}

// Read gives the state, on the leader, or what is applied here.
func (s *service) Read(ctx context.Context, req *clusterv1.ReadRequest) (*clusterv1.ReadResponse, error) {
	m := s.c.current.Load()
	if m.raft == nil {
		return nil, status.Error(codes.FailedPrecondition, state.ErrNoCluster.Error())
	}
	leader, _ := m.raft.Leader()
	if req.GetApplied() {
		return &clusterv1.ReadResponse{State: state.Marshal(m.state()), Leader: leader}, nil
	}
	st, err := m.raft.Read(ctx)
	if err != nil {
		return nil, status.Error(codes.FailedPrecondition, err.Error())
	}
	return &clusterv1.ReadResponse{State: state.Marshal(st), Leader: leader}, nil
}

// Stats tells how far this node's log is.
func (s *service) Stats(context.Context, *clusterv1.StatsRequest) (*clusterv1.StatsResponse, error) {
	m := s.c.current.Load()
	if m.raft == nil {
		return nil, status.Error(codes.FailedPrecondition, state.ErrNoCluster.Error())
	}
	st := m.raft.Stats()
	return &clusterv1.StatsResponse{
		LastTerm: st.LastTerm, LastIndex: st.LastIndex, LastContactNanos: int64(st.LastContact),
		Generation: m.state().Generation, Voter: m.raft.Quorum().Voter,
	}, nil
}

// statsOf asks the node id for its Stats.
func (m *membership) statsOf(ctx context.Context, id string) (consensus.Stats, error) {
	client, err := m.node(id)
	if err != nil {
		return consensus.Stats{}, err
	}
	answer, err := client.Stats(ctx, &clusterv1.StatsRequest{})
	if err != nil {
		return consensus.Stats{}, err
	}
	return consensus.Stats{
		LastTerm: answer.GetLastTerm(), LastIndex: answer.GetLastIndex(), LastContact: time.Duration(answer.GetLastContactNanos()),
	}, nil
}

// Stage keeps a sealing key that a rotation may name.
func (s *service) Stage(ctx context.Context, req *clusterv1.StageRequest) (*clusterv1.StageResponse, error) {
	m := s.c.current.Load()
	if len(req.GetSealingKey()) != len(identity.SealingKey{}) {
		return nil, status.Error(codes.InvalidArgument, "a sealing key has 32 bytes")
	}
	caller, _ := wire.PeerFrom(ctx)
	err := m.stage(identity.SealingKey(req.GetSealingKey()), caller.NodeID)
	if errors.Is(err, state.ErrConflict) {
		return nil, status.Error(codes.FailedPrecondition, err.Error())
	}
	if err != nil {
		s.c.log.Error("stage sealing key", "err", err)
		return nil, status.Error(codes.Internal, "the key could not be kept")
	}
	return &clusterv1.StageResponse{}, nil
}
