package cluster

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/mccd/mccd/cluster/identity"
	"github.com/mccd/mccd/cluster/state"
)

// errAlone refuses to leave a cluster of one.
var errAlone = errors.New("this node is alone: there is nothing to leave")

// Leave gives what only this node holds to the others, gives its place away,
// and makes it a cluster of one again; what it has cached it keeps. A crash on
// the way is finished by the next start.
func (c *Cluster) Leave(ctx context.Context) error {
	m := c.current.Load()
	own, known := m.state().Node(c.id)
	removed := known && own.State == state.Left || m.refused.Load() != nil
	if m.raft == nil || len(m.others()) == 0 && !removed {
		return fmt.Errorf("leave: %w", errAlone)
	}
	if c.cfg.HandOver != nil && !removed {
		if err := c.cfg.HandOver(ctx); err != nil {
			return fmt.Errorf("leave: hand over what only this node holds: %w", err)
		}
	}
	if err := writeAtomic(filepath.Join(m.dir, leavingFile), nil); err != nil {
		return fmt.Errorf("leave: %w", err)
	}
	if err := c.finishLeave(ctx, m, removed); err != nil {
		return fmt.Errorf("leave: %w", errors.Join(err, removeFile(filepath.Join(m.dir, leavingFile))))
	}
	return nil
}

// finishLeave gives the place away and founds a cluster of one.
func (c *Cluster) finishLeave(ctx context.Context, m *membership, removed bool) error {
	if !removed {
		if _, err := m.submit(ctx, state.RemoveNode{ID: c.id}); err != nil {
			return err
		}
	}
	err := c.change(ctx, m, func(context.Context) error {
		if err := c.found(freshFolder, identity.CA{}, "", nil); err != nil {
			return err
		}
		if err := c.folders.replace(freshFolder); err != nil {
			return err
		}
		return c.folders.clear(formerFolder)
	})
	if err == nil {
		c.log.Info("left the cluster; this node is one of its own again")
	}
	return err
}

// resumeLeave finishes a leave that an earlier run began.
func (c *Cluster) resumeLeave(ctx context.Context) {
	m := c.current.Load()
	if leaving, err := exists(filepath.Join(m.dir, leavingFile)); err != nil || !leaving {
		return
	}
	for ctx.Err() == nil {
		own, known := m.state().Node(c.id)
		removed := known && own.State == state.Left || m.refused.Load() != nil
		err := c.finishLeave(ctx, m, removed)
		if err == nil || ctx.Err() != nil {
			return
		}
		c.log.Warn("finish leaving later", "err", err)
		pause(ctx, announceMin)
	}
}
