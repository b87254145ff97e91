package admin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/mccd/mccd/cluster/state"
	adminv1 "github.com/mccd/mccd/proto/mccd/admin/v1"
)

// Client talks to the node behind one admin socket. It is safe for concurrent
// use.
type Client struct {
	conn *grpc.ClientConn
	rpc  adminv1.AdminClient
}

// Dial connects to the node whose admin socket is at path. The error wraps
// ErrUnreachable where nobody answers there, and says what to do.
func Dial(ctx context.Context, path string) (*Client, error) {
	var d net.Dialer
	probe, err := d.DialContext(ctx, "unix", path)
	switch {
	case err == nil:
		_ = probe.Close()
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("%w for this user on %s: run the command as root or as the user of mccd", ErrUnreachable, path)
	default:
		return nil, fmt.Errorf("%w on %s: start it with `mccd serve`, or name its socket", ErrUnreachable, path)
	}
	conn, err := grpc.NewClient("passthrough:///mccd",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return d.DialContext(ctx, "unix", path)
		}))
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", path, err)
	}
	return &Client{conn: conn, rpc: adminv1.NewAdminClient(conn)}, nil
}

// Close ends the connection.
func (c *Client) Close() error { return c.conn.Close() }

// Status returns the node's picture.
func (c *Client) Status(ctx context.Context) (Status, error) {
	resp, err := c.rpc.Status(ctx, &adminv1.StatusRequest{})
	if err != nil {
		return Status{}, plain(err)
	}
	return statusFromProto(resp), nil
}

// Join makes the node one of the cluster of peers, and returns all its nodes.
// peers are addresses of their port for peers, "host" or "host:port", of which
// one that answers is enough.
func (c *Client) Join(ctx context.Context, peers []string, token string) ([]Node, error) {
	resp, err := c.rpc.Join(ctx, &adminv1.JoinRequest{Addresses: peers, Token: token})
	if err != nil {
		return nil, plain(err)
	}
	return nodesFromProto(resp.GetNodes()), nil
}

// Leave makes the node a cluster of its own.
func (c *Client) Leave(ctx context.Context) error {
	_, err := c.rpc.Leave(ctx, &adminv1.LeaveRequest{})
	return ended(err)
}

// CreateToken returns a new token and what is kept of it.
func (c *Client) CreateToken(ctx context.Context, spec state.TokenSpec) (string, Token, error) {
	resp, err := c.rpc.CreateToken(ctx, &adminv1.CreateTokenRequest{
		Ttl: durationpb.New(spec.TTL), Uses: spec.Uses, Note: spec.Note,
	})
	if err != nil {
		return "", Token{}, plain(err)
	}
	return resp.GetToken(), tokenFromProto(resp.GetInfo()), nil
}

// Tokens returns all that are kept, the ended ones too.
func (c *Client) Tokens(ctx context.Context) ([]Token, error) {
	resp, err := c.rpc.ListTokens(ctx, &adminv1.ListTokensRequest{})
	if err != nil {
		return nil, plain(err)
	}
	tokens := make([]Token, len(resp.GetTokens()))
	for i, p := range resp.GetTokens() {
		tokens[i] = tokenFromProto(p)
	}
	return tokens, nil
}

// RevokeToken makes the token of this id useless.
func (c *Client) RevokeToken(ctx context.Context, id string) error {
	_, err := c.rpc.RevokeToken(ctx, &adminv1.RevokeTokenRequest{Id: id})
	return ended(err)
}

// Remove takes out the node of this id or name. Where it is compromised, all
// keys of the cluster are replaced.
func (c *Client) Remove(ctx context.Context, node string, compromised bool) error {
	_, err := c.rpc.RemoveNode(ctx, &adminv1.RemoveNodeRequest{Node: node, Compromised: compromised})
	return ended(err)
}

// SetNode changes the node of this id or name.
func (c *Client) SetNode(ctx context.Context, node string, s state.NodeSettings) error {
	_, err := c.rpc.SetNode(ctx, &adminv1.SetNodeRequest{Node: node, Settings: settingsToProto(s)})
	return ended(err)
}

// PreCreate records a node before it joins.
func (c *Client) PreCreate(ctx context.Context, s state.NodeSettings) error {
	_, err := c.rpc.CreateNode(ctx, &adminv1.CreateNodeRequest{Settings: settingsToProto(s)})
	return ended(err)
}

// Rotate replaces the key "gossip", "sealing" or "ca".
func (c *Client) Rotate(ctx context.Context, what string) error {
	_, err := c.rpc.Rotate(ctx, &adminv1.RotateRequest{Key: keyToProto(what)})
	return ended(err)
}

// Config returns the configuration that all nodes share: linearizable, or with
// local what the node knows.
func (c *Client) Config(ctx context.Context, local bool) (state.Config, error) {
	resp, err := c.rpc.GetConfig(ctx, &adminv1.GetConfigRequest{Local: local})
	if err != nil {
		return state.Config{}, plain(err)
	}
	return configFromProto(resp.GetConfig()), nil
}

// SetConfig replaces the configuration of revision expect, and returns the new
// one's revision; state.ErrConflict where the present one is another.
func (c *Client) SetConfig(ctx context.Context, expect uint64, cfg state.Config) (uint64, error) {
	resp, err := c.rpc.SetConfig(ctx, &adminv1.SetConfigRequest{Expect: expect, Config: configToProto(cfg)})
	if err != nil {
		return 0, plain(err)
	}
	return resp.GetRevision(), nil
}

// Recover rebuilds the cluster from the node, or only reports what that means.
func (c *Client) Recover(ctx context.Context, spec state.RecoverSpec) (state.RecoverReport, error) {
	resp, err := c.rpc.Recover(ctx, &adminv1.RecoverRequest{Supersede: spec.Supersede, DryRun: spec.DryRun})
	if err != nil {
		return state.RecoverReport{}, plain(err)
	}
	return reportFromProto(resp), nil
}

// Backup returns the cluster's configuration and secrets, sealed by passphrase.
func (c *Client) Backup(ctx context.Context, passphrase string) ([]byte, error) {
	resp, err := c.rpc.Backup(ctx, &adminv1.BackupRequest{Passphrase: passphrase})
	if err != nil {
		return nil, plain(err)
	}
	return resp.GetBackup(), nil
}

// Restore makes the node a cluster of one with what a backup holds.
func (c *Client) Restore(ctx context.Context, backup []byte, passphrase string) error {
	_, err := c.rpc.Restore(ctx, &adminv1.RestoreRequest{Backup: backup, Passphrase: passphrase})
	return ended(err)
}

// ended is plain of an error that may be nil.
func ended(err error) error {
	if err == nil {
		return nil
	}
	return plain(err)
}
