package node

import (
	"context"
	"errors"
)

// Node is one running member.
type Node struct{}

// New validates cfg, binds every listener and opens the drives; it starts
// nothing.
func New(cfg Config) (*Node, error) { return nil, errors.New("not wired yet") }

// Run serves until ctx ends, then drains and stops every part in order.
func (n *Node) Run(ctx context.Context) error { return nil }
