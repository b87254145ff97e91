package wire

import "errors"

// What can go wrong between two nodes before the first word.
var (
	// ErrWrongNode: the address belongs to another node by now.
	ErrWrongNode = errors.New("another node answered")
	// ErrPin: the other end is of another cluster than the token.
	ErrPin = errors.New("not the cluster that the token is for")
	// ErrRefused: the other end does not take this node's certificate.
	ErrRefused = errors.New("the other node refused this node's certificate")
	// ErrNotMember: the other end is no member of this node's cluster.
	ErrNotMember = errors.New("not a member of this cluster")
	// ErrNotTLS: the address is not that of a nodes' port.
	ErrNotTLS = errors.New("it does not speak TLS: give the address of the port between nodes (7947 unless configured)")
)
