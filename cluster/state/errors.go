package state

import "errors"

// Why a Command was refused. They keep their identity when they travel
// between nodes (Code, FromCode).
var (
	ErrNoCluster    = errors.New("this node is in no cluster yet")
	ErrInCluster    = errors.New("a cluster exists already")
	ErrTokenUnknown = errors.New("the token is not one of this cluster: make one with mccd token create")
	ErrTokenExpired = errors.New("the token has expired: make a new one with mccd token create")
	ErrTokenUsedUp  = errors.New("the token has admitted as many nodes as it may: make a new one with mccd token create")
	ErrTokenRevoked = errors.New("the token was revoked: make a new one with mccd token create")
	ErrNodeUnknown  = errors.New("no such node")
	ErrNodeRemoved  = errors.New("this node was removed from the cluster: join it again with a new token")
	ErrNameTaken    = errors.New("a node of this name is in the cluster: choose another --name, or remove that node first")
	ErrConflict     = errors.New("it was changed meanwhile: read it again")
	ErrInvalid      = errors.New("invalid")
	ErrNotFound     = errors.New("not found")
	// ErrVersion refuses a command, snapshot or file of a newer release.
	ErrVersion = errors.New("made by a newer release of mccd: upgrade this node")
	// ErrIncompatible refuses a node that cannot run the cluster's version.
	ErrIncompatible = errors.New("this release of mccd cannot run the cluster's version")
)
