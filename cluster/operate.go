package cluster

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/mccd/mccd/cluster/identity"
	"github.com/mccd/mccd/cluster/state"
)

func (c *Cluster) submit(ctx context.Context, cmd state.Command) (state.Result, error) {
	return c.current.Load().submit(ctx, cmd)
}

// CreateToken makes a token and returns it; it cannot be had again.
func (c *Cluster) CreateToken(ctx context.Context, spec state.TokenSpec) (string, state.Token, error) {
	m := c.current.Load()
	st, err := m.read(ctx)
	if err != nil {
		return "", state.Token{}, fmt.Errorf("create token: %w", err)
	}
	if len(st.Trust.CAs) == 0 {
		return "", state.Token{}, fmt.Errorf("create token: %w", state.ErrNoCluster)
	}
	token, err := identity.NewToken(identity.Digest(st.Trust.CAs[0]))
	if err != nil {
		return "", state.Token{}, fmt.Errorf("create token: %w", err)
	}
	uses := spec.Uses
	if uses == 0 {
		uses = 1
	}
	record := state.Token{ID: randomHex(4), Hash: token.Hash(), Note: spec.Note, Uses: uses}
	res, err := m.submit(ctx, state.CreateToken{Token: record, TTLSeconds: int64(spec.TTL.Seconds())})
	if err != nil {
		return "", state.Token{}, fmt.Errorf("create token: %w", err)
	}
	record.CreatedUnix = res.TimeUnix
	if spec.TTL > 0 {
		record.ExpiresUnix = res.TimeUnix + int64(spec.TTL.Seconds())
	}
	return token.Reveal(), record, nil
}

// Tokens returns the tokens of the cluster, without their secrets.
func (c *Cluster) Tokens(ctx context.Context) ([]state.Token, error) {
	st, err := c.current.Load().read(ctx)
	if err != nil {
		return nil, fmt.Errorf("list tokens: %w", err)
	}
	return st.Tokens, nil
}

// RevokeToken makes a token useless.
func (c *Cluster) RevokeToken(ctx context.Context, id string) error {
	if _, err := c.submit(ctx, state.RevokeToken{ID: id}); err != nil {
		return fmt.Errorf("revoke token: %w", err)
	}
	return nil
}

// Config returns the configuration: that of the cluster now, or, local, what
// this node has applied.
func (c *Cluster) Config(ctx context.Context, local bool) (state.Config, error) {
	m := c.current.Load()
	if local {
		return m.state().Config, nil
	}
	st, err := m.read(ctx)
	if err != nil {
		return state.Config{}, fmt.Errorf("read configuration: %w", err)
	}
	return st.Config, nil
}

// SetConfig replaces the configuration where expect is its revision, else
// state.ErrConflict; it returns the new revision.
func (c *Cluster) SetConfig(ctx context.Context, expect uint64, cfg state.Config) (uint64, error) {
	res, err := c.submit(ctx, state.SetConfig{Expect: expect, Config: cfg})
	if err != nil {
		return 0, fmt.Errorf("write configuration: %w", err)
	}
	return res.Revision, nil
}

// SetNode changes the settings of a node, named by id or name.
func (c *Cluster) SetNode(ctx context.Context, node string, s state.NodeSettings) error {
	n, err := c.find(ctx, node)
	if err == nil {
		_, err = c.submit(ctx, state.SetNode{ID: n.ID, Name: s.Name, Zone: s.Zone, Weight: s.Weight})
	}
	if err != nil {
		return fmt.Errorf("set node %s: %w", node, err)
	}
	return nil
}

// PreCreate records a node before it joins.
func (c *Cluster) PreCreate(ctx context.Context, s state.NodeSettings) error {
	n := state.Node{State: state.PreCreated}
	if s.Name != nil {
		n.Name = *s.Name
	}
	if s.Zone != nil {
		n.Zone = *s.Zone
	}
	if s.Weight != nil {
		n.Weight = *s.Weight
	}
	if _, err := c.submit(ctx, state.PreCreate{Node: n}); err != nil {
		return fmt.Errorf("create node %s: %w", n.Name, err)
	}
	return nil
}

// find returns the record of a node that is named by its id, a unique
// beginning of it, or its name.
func (c *Cluster) find(ctx context.Context, name string) (state.Node, error) {
	st, err := c.current.Load().read(ctx)
	if err != nil {
		return state.Node{}, err
	}
	return findIn(st, name)
}

func findIn(st *state.State, name string) (state.Node, error) {
	var found []state.Node
	for _, n := range st.Nodes {
		switch {
		case n.ID != "" && n.ID == name:
			return n, nil
		case n.Name == name && n.State != state.Left,
			len(name) >= 8 && strings.HasPrefix(n.ID, name):
			found = append(found, n)
		}
	}
	switch len(found) {
	case 0:
		return state.Node{}, fmt.Errorf("%w: %q; mccd status lists them", state.ErrNodeUnknown, name)
	case 1:
		return found[0], nil
	default:
		return state.Node{}, fmt.Errorf("%w: %q names %d nodes: use the id", state.ErrInvalid, name, len(found))
	}
}

// Rotate replaces a key: "gossip", "sealing" or "ca". Nodes that are away take
// the new ones when they come back.
func (c *Cluster) Rotate(ctx context.Context, what string) error {
	m := c.current.Load()
	var err error
	switch what {
	case "gossip":
		err = m.startRotation(ctx)
	case "sealing":
		err = m.rotateSealing(ctx)
	case "ca":
		err = m.rotateCA(ctx)
	default:
		err = fmt.Errorf("%w: %q is not a key: want gossip, sealing or ca", state.ErrInvalid, what)
	}
	if err != nil {
		return fmt.Errorf("rotate %s: %w", what, err)
	}
	c.log.Info("rotated", "key", what)
	return nil
}

func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // it never fails
	return hex.EncodeToString(b)
}
