package cluster

import (
	"context"

	"github.com/mccd/mccd/cluster/state"
)

// AckPurges tells the cluster that this node keeps nothing older than the
// purge marks up to index, so that they may go once all nodes have said so.
func (c *Cluster) AckPurges(ctx context.Context, index uint64) error {
	_, err := c.current.Load().submit(ctx, state.AckPurges{ID: c.id, Index: index})
	return err
}
