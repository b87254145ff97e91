package admin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	adminv1 "github.com/mccd/mccd/proto/mccd/admin/v1"
)

// ErrUnreachable tells that no node answers on the admin socket.
var ErrUnreachable = errors.New("no mccd answers")

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

// Join makes the node's cluster and that of a peer one, and returns all
// members. addrs are gossip addresses, "host" or "host:port", of which one
// that answers is enough.
func (c *Client) Join(ctx context.Context, addrs []string) ([]Node, error) {
	resp, err := c.rpc.Join(ctx, &adminv1.JoinRequest{Addresses: addrs})
	if err != nil {
		return nil, plain(err)
	}
	return nodesFromProto(resp.GetNodes()), nil
}

// plain takes the wire's wrapping off an error.
func plain(err error) error {
	st := status.Convert(err)
	switch st.Code() {
	case codes.Unavailable:
		return fmt.Errorf("%w any more: %s", ErrUnreachable, st.Message())
	case codes.DeadlineExceeded:
		return context.DeadlineExceeded
	case codes.Canceled:
		return context.Canceled
	default:
		return errors.New(st.Message())
	}
}
