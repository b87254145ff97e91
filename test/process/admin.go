package process

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/mccd/mccd/cluster/admin"
	"github.com/mccd/mccd/cluster/state"
)

// Admin calls do with a client of the node's admin service. A client that
// failed is not used again: the process may be another one by then.
func (n *Node) Admin(ctx context.Context, do func(context.Context, *admin.Client) error) error {
	client := n.takeClient()
	if client == nil {
		var err error
		if client, err = admin.Dial(ctx, n.Socket); err != nil {
			return fmt.Errorf("ask %s: %w", n.Name, err)
		}
	}
	if err := do(ctx, client); err != nil {
		_ = client.Close()
		return fmt.Errorf("ask %s: %w", n.Name, err)
	}
	n.giveClient(client)
	return nil
}

func (n *Node) takeClient() *admin.Client {
	n.mu.Lock()
	defer n.mu.Unlock()
	client := n.client
	n.client = nil
	return client
}

func (n *Node) giveClient(client *admin.Client) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.client != nil || n.life == nil || n.life.over() {
		_ = client.Close()
		return
	}
	n.client = client
}

// Token makes a token at this node.
func (n *Node) Token(ctx context.Context, spec state.TokenSpec) (token string, info admin.Token, err error) {
	err = n.Admin(ctx, func(ctx context.Context, c *admin.Client) error {
		token, info, err = c.CreateToken(ctx, spec)
		return err
	})
	return token, info, err
}

// Config returns the cluster's configuration as this node tells it:
// linearizable, or with local what it knows.
func (n *Node) Config(ctx context.Context, local bool) (cfg state.Config, err error) {
	err = n.Admin(ctx, func(ctx context.Context, c *admin.Client) error {
		cfg, err = c.Config(ctx, local)
		return err
	})
	return cfg, err
}

// SetConfig replaces the configuration of revision expect by this node and
// returns the new revision; state.ErrConflict where expect is not the present
// one.
func (n *Node) SetConfig(ctx context.Context, expect uint64, cfg state.Config) (revision uint64, err error) {
	err = n.Admin(ctx, func(ctx context.Context, c *admin.Client) error {
		revision, err = c.SetConfig(ctx, expect, cfg)
		return err
	})
	return revision, err
}

// ServeTLS has a key made at this node for names and serves, at all nodes, the
// certificate that a signs, good until end.
func (n *Node) ServeTLS(ctx context.Context, a *Authority, kind string, end time.Time, names ...string) (s admin.TLSStatus, err error) {
	err = n.Admin(ctx, func(ctx context.Context, c *admin.Client) error {
		csr, err := c.CreateTLSKey(ctx, state.TLSKeySpec{Names: names, Kind: kind})
		if err != nil {
			return err
		}
		chain, err := a.Sign(csr, end)
		if err != nil {
			return err
		}
		s, err = c.ImportTLS(ctx, chain, nil)
		return err
	})
	return s, err
}

// Join makes the running node one of the cluster in which at is, by a token.
func (n *Node) Join(ctx context.Context, at *Node, token string) error {
	return n.Admin(ctx, func(ctx context.Context, c *admin.Client) error {
		_, err := c.Join(ctx, []string{at.Peer}, token)
		return err
	})
}

// Leave makes the node a cluster of its own.
func (n *Node) Leave(ctx context.Context) error {
	return n.Admin(ctx, func(ctx context.Context, c *admin.Client) error { return c.Leave(ctx) })
}

// Remove takes the node named other (an id or a name) out, asked at this node.
func (n *Node) Remove(ctx context.Context, other string, compromised bool) error {
	return n.Admin(ctx, func(ctx context.Context, c *admin.Client) error { return c.Remove(ctx, other, compromised) })
}

// writeToken makes a token for any number of nodes at this one, into the file
// that the others' configuration names.
func (c *Cluster) writeToken(ctx context.Context, n *Node) error {
	return Poll(ctx, func(ctx context.Context) error {
		token, _, err := n.Token(ctx, state.TokenSpec{Uses: -1, Note: "test"})
		if err != nil {
			return err
		}
		return os.WriteFile(c.TokenFile, []byte(token+"\n"), 0o600)
	})
}
