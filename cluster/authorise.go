package cluster

import (
	"context"
	"errors"
	"fmt"

	"github.com/mccd/mccd/cluster/identity"
	"github.com/mccd/mccd/cluster/state"
	"github.com/mccd/mccd/cluster/wire"
)

// errCaller refuses a write for who wants it.
var errCaller = errors.New("this node writes nothing here")

// mayWrite refuses, at the leader, what no member may have written for it, and
// what the state cannot judge itself. A member may have everything else written:
// nodes trust each other in full (DESIGN.md).
func (m *membership) mayWrite(ctx context.Context, cmd state.Command) error {
	caller, _ := wire.PeerFrom(ctx)
	// By what is applied: the leader knows everybody, or does not lead.
	n, known := m.state().Node(caller.NodeID)
	if !known || n.State == state.Left || n.Key != caller.Key || caller.Role != wire.RoleNode {
		return fmt.Errorf("%w: %w", errCaller, state.ErrNodeUnknown)
	}
	return m.checkCommand(ctx, cmd)
}

// checkCommand checks what Apply, which must give the same on all releases,
// does not.
func (m *membership) checkCommand(ctx context.Context, cmd state.Command) error {
	switch cmd := cmd.(type) {
	case state.Init:
		return state.ErrInCluster
	case state.Admit:
		// Another node's picture of who lives may be wrong.
		if cmd.Replaces != "" && cmd.Replaces != cmd.Node.ID && m.lives(ctx, cmd.Replaces) {
			return fmt.Errorf("%w (%s)", state.ErrNameTaken, m.nameOf(cmd.Replaces))
		}
	case state.SetTLSKey:
		return checkClientTLS(cmd.Key)
	case state.SetTrust:
		return checkAuthorities(cmd.Trust)
	case state.Reseal:
		return checkAuthorities(cmd.Trust)
	case state.Expel:
		return checkAuthorities(cmd.Reseal.Trust)
	}
	return nil
}

// checkAuthorities refuses authorities that cannot be read: nobody could join
// or renew by them.
func checkAuthorities(t state.Trust) error {
	for _, der := range t.CAs {
		if _, err := identity.ParseCA(der, nil); err != nil {
			return fmt.Errorf("%w: %w", state.ErrInvalid, err)
		}
	}
	return nil
}
