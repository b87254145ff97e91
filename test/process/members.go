package process

import (
	"context"
	"fmt"
	"strings"
)

// Members waits until the node counts exactly want members alive, itself
// included.
func (n *Node) Members(ctx context.Context, want int) error {
	err := Poll(ctx, func(ctx context.Context) error {
		alive, err := n.Alive(ctx)
		if err != nil {
			return err
		}
		if alive != want {
			return fmt.Errorf("%d members alive", alive)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("wait until %s counts %d members: %w", n.Name, want, err)
	}
	return nil
}

// Alive returns how many members the node counts alive by its status.
func (n *Node) Alive(ctx context.Context) (int, error) {
	status, err := n.Status(ctx)
	if err != nil {
		return 0, err
	}
	nodes, _ := status["nodes"].([]any)
	alive := 0
	for _, entry := range nodes {
		fields, _ := entry.(map[string]any)
		state, _ := fields["state"].(string)
		if strings.Contains(strings.ToLower(state), "alive") {
			alive++
		}
	}
	return alive, nil
}
