package admin

import (
	"context"

	"github.com/mccd/mccd/cluster/state"
)

// Cluster is what an operator may ask of a node beside its status. All errors
// say what to do; those of package state keep their identity up to the Client.
type Cluster interface {
	Membership
	Tokens
	Nodes
	Keys
	Settings
	Rescue
	Purger
	ClientTLS
}

// Membership is the node's own.
type Membership interface {
	// Join makes the node one of the cluster of peers ("host" or "host:port"
	// of their port for peers), by a token, and returns when it has its place.
	Join(ctx context.Context, peers []string, token string) error
	// Leave returns when the node is a cluster of its own.
	Leave(ctx context.Context) error
}

// Tokens admit nodes.
type Tokens interface {
	// CreateToken returns the token, which nobody tells again, and what is
	// kept of it.
	CreateToken(ctx context.Context, spec state.TokenSpec) (token string, info state.Token, err error)
	Tokens(ctx context.Context) ([]state.Token, error)
	RevokeToken(ctx context.Context, id string) error
}

// Nodes are the other ones' records; a node is named by its id or name.
type Nodes interface {
	Remove(ctx context.Context, node string, compromised bool) error
	SetNode(ctx context.Context, node string, s state.NodeSettings) error
	PreCreate(ctx context.Context, s state.NodeSettings) error
}

// Keys are the cluster's.
type Keys interface {
	// Rotate replaces "gossip", "sealing" or "ca".
	Rotate(ctx context.Context, what string) error
}

// Settings are the configuration that all nodes share.
type Settings interface {
	// Config is linearizable unless local.
	Config(ctx context.Context, local bool) (state.Config, error)
	// SetConfig fails with state.ErrConflict where expect is not the present
	// revision.
	SetConfig(ctx context.Context, expect uint64, c state.Config) (revision uint64, err error)
}

// Rescue is for when things were lost.
type Rescue interface {
	Recover(ctx context.Context, spec state.RecoverSpec) (state.RecoverReport, error)
	Backup(ctx context.Context, passphrase string) ([]byte, error)
	Restore(ctx context.Context, backup []byte, passphrase string) error
}

// Purger makes all nodes forget content.
type Purger interface {
	Purge(ctx context.Context, spec state.PurgeSpec) (index uint64, err error)
	// Purges returns those that are kept, the newest first, and the index of the
	// newest one that is not, 0 = none.
	Purges(ctx context.Context) (all []state.PurgeStatus, dropped uint64, err error)
}
