package cluster

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/mccd/mccd/cluster/gossip"
	"github.com/mccd/mccd/cluster/identity"
	"github.com/mccd/mccd/cluster/state"
	"github.com/mccd/mccd/cluster/wire"
	clusterv1 "github.com/mccd/mccd/proto/mccd/cluster/v1"
)

// Join admits a node by a token.
func (s *service) Join(ctx context.Context, req *clusterv1.JoinRequest) (*clusterv1.JoinResponse, error) {
	caller, _ := wire.PeerFrom(ctx)
	m := s.c.current.Load()
	id, err := s.join(ctx, m, req)
	if err != nil {
		if m.complain("admission of " + hostOf(caller.Addr)) {
			s.c.log.Warn("a node was not admitted", "from", caller.Addr, "name", printable(req.GetName()), "id", printable(req.GetAddress().GetId()), "err", err)
		}
		return nil, statusOf(err)
	}
	s.c.log.Info("admitted a node", "name", req.GetName(), "id", req.GetAddress().GetId(), "from", caller.Addr)
	return &clusterv1.JoinResponse{Identity: id}, nil
}

func (s *service) join(ctx context.Context, m *membership, req *clusterv1.JoinRequest) (*clusterv1.Identity, error) {
	switch {
	case m.raft == nil:
		return nil, fmt.Errorf("%w: it waits for its cluster to be founded", state.ErrNoCluster)
	case m.joining.Load(), m.entering.Load():
		return nil, fmt.Errorf("%w: it is joining another cluster itself; join that one", state.ErrNoCluster)
	}
	at := req.GetAddress()
	token, err := identity.ParseToken(req.GetToken())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", state.ErrInvalid, err)
	}
	if err := m.admissible(ctx, token, req.GetJoinKey()); err != nil {
		return nil, err
	}
	leave, ok := pass(s.c.doors.admissions)
	if !ok {
		return nil, fmt.Errorf("%w: %w", state.ErrNoCluster, errBusy)
	}
	defer leave()
	if err := checkJoin(req, token); err != nil {
		return nil, fmt.Errorf("%w: %w", state.ErrInvalid, err)
	}
	ca, err := m.ca(m.state())
	if err != nil {
		return nil, err
	}
	node := state.Node{
		ID: at.GetId(), Name: req.GetName(), Zone: req.GetZone(), Weight: int(req.GetWeight()), DriveBytes: req.GetDriveBytes(),
		State: state.Joining, PeerAddr: at.GetPeerAddr(), GossipAddr: at.GetGossipAddr(),
		Key: identity.PublicDigest(req.GetPublicKey()), JoinKey: req.GetJoinKey(),
		Release: req.GetRelease(), MinVersion: req.GetMinVersion(), MaxVersion: req.GetMaxVersion(),
	}
	replaces, err := m.replaced(ctx, node)
	if err != nil {
		return nil, err
	}
	res, err := m.submit(ctx, state.Admit{TokenHash: token.Hash(), Node: node, Replaces: replaces})
	if err != nil {
		return nil, err
	}
	if err := m.applied(ctx, res.Index); err != nil {
		return nil, err
	}
	// By the leader's clock, which stamped the command: nodes' clocks differ.
	der, err := ca.Sign(req.GetPublicKey(), m.id.Load().ClusterID, node.ID, time.Unix(res.TimeUnix, 0), s.c.cfg.CertLife)
	if err != nil {
		return nil, err
	}
	m.book.put(node.ID, placeFromProto(at))
	return m.identityFor(der), nil
}

// checkJoin refuses what no node of ours asks.
func checkJoin(req *clusterv1.JoinRequest, token identity.Token) error {
	at := req.GetAddress()
	var errs []error
	errs = append(errs, gossip.CheckID(at.GetId()), gossip.CheckName("name", req.GetName()), gossip.CheckName("zone", req.GetZone()),
		gossip.CheckAddr("peer address", at.GetPeerAddr()), gossip.CheckAddr("gossip address", at.GetGossipAddr()))
	if len(req.GetPublicKey()) != ed25519.PublicKeySize || !ed25519.Verify(req.GetPublicKey(), proof(at.GetId(), req.GetJoinKey(), token), req.GetSignature()) {
		errs = append(errs, errors.New("the caller does not show that the key is its own"))
	}
	if len(req.GetJoinKey()) != 32 {
		errs = append(errs, errors.New("no joining key"))
	}
	if req.GetMinVersion() > clusterVersion || req.GetMaxVersion() < minVersion {
		errs = append(errs, fmt.Errorf("%w: this cluster is of version %d", state.ErrIncompatible, clusterVersion))
	}
	return errors.Join(errs...)
}

// proof is what a joining node signs: that the key is its own, and for which
// cluster and token it is shown.
func proof(id, joinKey string, token identity.Token) []byte {
	return []byte("mccd join 2\n" + id + "\n" + joinKey + "\n" + token.CADigest + "\n" + token.Hash())
}

// ca opens the certificate authority that signs.
func (m *membership) ca(st *state.State) (identity.CA, error) {
	if len(st.Trust.CAs) == 0 {
		return identity.CA{}, fmt.Errorf("%w: it has only just started; try again", state.ErrNoCluster)
	}
	ca, err := identity.OpenCA(st.Trust.CAs[0], st.Trust.SealedKey, m.id.Load().Sealing)
	if err != nil {
		return identity.CA{}, fmt.Errorf("open the cluster's authority: %w", err)
	}
	return ca, nil
}

// identityFor is what the node with this certificate needs.
func (m *membership) identityFor(der []byte) *clusterv1.Identity {
	id, st := m.id.Load(), m.state()
	return &clusterv1.Identity{
		ClusterId: id.ClusterID, Certificate: der, Cas: st.Trust.CAs, SealingKey: id.Sealing[:],
		State: state.Marshal(st), Addresses: m.book.all(),
	}
}

// Renew gives a node that is known by its key its identity anew.
func (s *service) Renew(ctx context.Context, req *clusterv1.RenewRequest) (*clusterv1.RenewResponse, error) {
	m := s.c.current.Load()
	caller, ok := wire.PeerFrom(ctx)
	if !ok || m.raft == nil {
		return nil, status.Error(codes.FailedPrecondition, state.ErrNoCluster.Error())
	}
	st := m.state()
	node, known := st.Node(caller.NodeID)
	switch {
	case !known || node.Key != caller.Key || identity.PublicDigest(req.GetPublicKey()) != node.Key:
		return nil, statusOf(state.ErrNodeUnknown)
	case node.State == state.Left:
		return nil, statusOf(state.ErrNodeRemoved)
	case st.SealingKeyID != m.id.Load().Sealing.ID():
		return nil, status.Error(codes.Unavailable, "keys are being rotated: ask another node, or again")
	}
	ca, err := m.ca(st)
	if err != nil {
		return nil, statusOf(err)
	}
	der, err := ca.Sign(req.GetPublicKey(), m.id.Load().ClusterID, caller.NodeID, s.c.cfg.Now(), s.c.cfg.CertLife)
	if err != nil {
		return nil, statusOf(err)
	}
	s.c.log.Info("renewed a node's identity", "node", node.Name, "id", node.ID)
	return &clusterv1.RenewResponse{Identity: m.identityFor(der)}, nil
}

// statusOf gives an error to another node, with its text.
func statusOf(err error) error {
	code := codes.Unknown // it may have been done
	switch {
	case errors.Is(err, state.ErrUnknownOutcome):
	case errors.Is(err, state.ErrNoQuorum), errors.Is(err, state.ErrNoCluster):
		code = codes.Aborted // nothing was done; later it may be
	case errors.Is(err, state.ErrIncompatible), errors.Is(err, state.ErrConflict), errors.Is(err, state.ErrNodeUnknown), errors.Is(err, state.ErrVersion):
		code = codes.FailedPrecondition
	case errors.Is(err, state.ErrInvalid):
		code = codes.InvalidArgument
	case errors.Is(err, state.ErrTokenUnknown), errors.Is(err, state.ErrTokenExpired), errors.Is(err, state.ErrTokenUsedUp),
		errors.Is(err, state.ErrTokenRevoked), errors.Is(err, state.ErrNodeRemoved):
		code = codes.PermissionDenied
	case errors.Is(err, state.ErrNameTaken):
		code = codes.AlreadyExists
	}
	return status.Error(code, err.Error())
}

// printable cuts what a stranger sent to what a log may hold.
func printable(s string) string {
	if len(s) > 64 || gossip.CheckName("", s) != nil {
		return "(unusable)"
	}
	return s
}
