package admin

import (
	"context"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/mccd/mccd/cluster/state"
	adminv1 "github.com/mccd/mccd/proto/mccd/admin/v1"
)

const (
	// maxAddresses bounds what one Join may try.
	maxAddresses = 64
	// maxSupersede bounds how many voters one Recover may name.
	maxSupersede = 64
)

// service answers the calls.
type service struct {
	adminv1.UnimplementedAdminServer
	*Server
}

func (s *service) Status(ctx context.Context, _ *adminv1.StatusRequest) (*adminv1.StatusResponse, error) {
	st, err := s.cfg.Status.Status(ctx)
	if err != nil {
		return nil, wireError(ctx, err)
	}
	return statusToProto(st), nil
}

func (s *service) Join(ctx context.Context, req *adminv1.JoinRequest) (*adminv1.JoinResponse, error) {
	addrs := req.GetAddresses()
	if len(addrs) == 0 || len(addrs) > maxAddresses {
		return nil, status.Errorf(codes.InvalidArgument, "join: %d addresses: name 1 to %d peers, host or host:7947", len(addrs), maxAddresses)
	}
	if err := s.cfg.Cluster.Join(ctx, addrs, req.GetToken()); err != nil {
		return nil, wireError(ctx, err)
	}
	st, err := s.cfg.Status.Status(ctx)
	if err != nil {
		return nil, wireError(ctx, fmt.Errorf("joined, but status: %w", err))
	}
	return &adminv1.JoinResponse{Nodes: nodesToProto(st.Nodes)}, nil
}

func (s *service) Leave(ctx context.Context, _ *adminv1.LeaveRequest) (*adminv1.LeaveResponse, error) {
	return &adminv1.LeaveResponse{}, wireError(ctx, s.cfg.Cluster.Leave(ctx))
}

func (s *service) CreateToken(ctx context.Context, req *adminv1.CreateTokenRequest) (*adminv1.CreateTokenResponse, error) {
	spec := state.TokenSpec{TTL: req.GetTtl().AsDuration(), Uses: req.GetUses(), Note: req.GetNote()}
	if spec.Uses == 0 {
		spec.Uses = 1
	}
	if spec.TTL < 0 || spec.Uses < -1 {
		return nil, status.Errorf(codes.InvalidArgument, "token: a time of %s or %d uses is less than none", spec.TTL, spec.Uses)
	}
	token, info, err := s.cfg.Cluster.CreateToken(ctx, spec)
	if err != nil {
		return nil, wireError(ctx, err)
	}
	return &adminv1.CreateTokenResponse{Token: token, Info: tokenToProto(info)}, nil
}

func (s *service) ListTokens(ctx context.Context, _ *adminv1.ListTokensRequest) (*adminv1.ListTokensResponse, error) {
	tokens, err := s.cfg.Cluster.Tokens(ctx)
	if err != nil {
		return nil, wireError(ctx, err)
	}
	resp := &adminv1.ListTokensResponse{}
	for _, t := range tokens {
		resp.Tokens = append(resp.Tokens, tokenToProto(t))
	}
	return resp, nil
}

func (s *service) RevokeToken(ctx context.Context, req *adminv1.RevokeTokenRequest) (*adminv1.RevokeTokenResponse, error) {
	if req.GetId() == "" {
		return nil, status.Error(codes.InvalidArgument, "revoke a token: name its id (mccd token list)")
	}
	return &adminv1.RevokeTokenResponse{}, wireError(ctx, s.cfg.Cluster.RevokeToken(ctx, req.GetId()))
}

func (s *service) RemoveNode(ctx context.Context, req *adminv1.RemoveNodeRequest) (*adminv1.RemoveNodeResponse, error) {
	if req.GetNode() == "" {
		return nil, status.Error(codes.InvalidArgument, "remove a node: name its id or name (mccd status)")
	}
	return &adminv1.RemoveNodeResponse{}, wireError(ctx, s.cfg.Cluster.Remove(ctx, req.GetNode(), req.GetCompromised()))
}

func (s *service) SetNode(ctx context.Context, req *adminv1.SetNodeRequest) (*adminv1.SetNodeResponse, error) {
	settings := settingsFromProto(req.GetSettings())
	if req.GetNode() == "" || settings == (state.NodeSettings{}) {
		return nil, status.Error(codes.InvalidArgument, "set a node: name its id or name, and a name, zone or weight to give it")
	}
	return &adminv1.SetNodeResponse{}, wireError(ctx, s.cfg.Cluster.SetNode(ctx, req.GetNode(), settings))
}

func (s *service) CreateNode(ctx context.Context, req *adminv1.CreateNodeRequest) (*adminv1.CreateNodeResponse, error) {
	settings := settingsFromProto(req.GetSettings())
	if settings.Name == nil || *settings.Name == "" {
		return nil, status.Error(codes.InvalidArgument, "create a node: it needs a name")
	}
	return &adminv1.CreateNodeResponse{}, wireError(ctx, s.cfg.Cluster.PreCreate(ctx, settings))
}

func (s *service) Rotate(ctx context.Context, req *adminv1.RotateRequest) (*adminv1.RotateResponse, error) {
	what := keyFromProto(req.GetKey())
	if what == "" {
		return nil, status.Error(codes.InvalidArgument, "rotate: name gossip, sealing or ca")
	}
	return &adminv1.RotateResponse{}, wireError(ctx, s.cfg.Cluster.Rotate(ctx, what))
}

func (s *service) GetConfig(ctx context.Context, req *adminv1.GetConfigRequest) (*adminv1.GetConfigResponse, error) {
	c, err := s.cfg.Cluster.Config(ctx, req.GetLocal())
	if err != nil {
		return nil, wireError(ctx, err)
	}
	return &adminv1.GetConfigResponse{Config: configToProto(c)}, nil
}

func (s *service) SetConfig(ctx context.Context, req *adminv1.SetConfigRequest) (*adminv1.SetConfigResponse, error) {
	if req.GetConfig() == nil {
		return nil, status.Error(codes.InvalidArgument, "set the configuration: none is given")
	}
	revision, err := s.cfg.Cluster.SetConfig(ctx, req.GetExpect(), configFromProto(req.GetConfig()))
	if err != nil {
		return nil, wireError(ctx, err)
	}
	return &adminv1.SetConfigResponse{Revision: revision}, nil
}

func (s *service) Recover(ctx context.Context, req *adminv1.RecoverRequest) (*adminv1.RecoverResponse, error) {
	if len(req.GetSupersede()) > maxSupersede {
		return nil, status.Errorf(codes.InvalidArgument, "recover: %d nodes to supersede; at most %d", len(req.GetSupersede()), maxSupersede)
	}
	r, err := s.cfg.Cluster.Recover(ctx, state.RecoverSpec{Supersede: req.GetSupersede(), DryRun: req.GetDryRun()})
	if err != nil {
		return nil, wireError(ctx, err)
	}
	return reportToProto(r), nil
}

func (s *service) Backup(ctx context.Context, req *adminv1.BackupRequest) (*adminv1.BackupResponse, error) {
	if req.GetPassphrase() == "" {
		return nil, status.Error(codes.InvalidArgument, "back up: a passphrase is needed, as the backup holds the cluster's secrets")
	}
	backup, err := s.cfg.Cluster.Backup(ctx, req.GetPassphrase())
	if err != nil {
		return nil, wireError(ctx, err)
	}
	return &adminv1.BackupResponse{Backup: backup}, nil
}

func (s *service) Restore(ctx context.Context, req *adminv1.RestoreRequest) (*adminv1.RestoreResponse, error) {
	if len(req.GetBackup()) == 0 || req.GetPassphrase() == "" {
		return nil, status.Error(codes.InvalidArgument, "restore: a backup and its passphrase are needed")
	}
	return &adminv1.RestoreResponse{}, wireError(ctx, s.cfg.Cluster.Restore(ctx, req.GetBackup(), req.GetPassphrase()))
}
