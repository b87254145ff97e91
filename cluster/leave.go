package cluster

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/mccd/mccd/cluster/identity"
	"github.com/mccd/mccd/cluster/state"
)

// errAlone refuses to leave a cluster of one.
var errAlone = errors.New("this node is alone: there is nothing to leave")

// voteTimeout bounds the wait for another node to take a leaver's vote, leaveTries
// how often a departure is written whose outcome is not known.
const (
	voteTimeout = 20 * time.Second
	leaveTries  = 3
)

// Leave gives what only this node holds to the others, hands its vote over,
// gives its place away, and makes this node a cluster of one again; what it has
// cached it keeps. The same command line does not bring it back, Join does. A
// crash on the way is finished by the next start.
func (c *Cluster) Leave(ctx context.Context) error {
	m := c.current.Load()
	removed := m.removed()
	switch {
	case m.raft == nil || len(m.others()) == 0 && !removed:
		return fmt.Errorf("leave: %w", errAlone)
	case m.joining.Load():
		return fmt.Errorf("leave: %w: a join is in progress", state.ErrConflict)
	}
	if err := c.placed(ctx); err != nil && !removed {
		return fmt.Errorf("leave: %w", err)
	}
	if c.cfg.HandOver != nil && !removed {
		if err := c.cfg.HandOver(ctx); err != nil {
			return fmt.Errorf("leave: hand over what only this node holds: %w", err)
		}
	}
	if err := writeAtomic(filepath.Join(m.dir, leavingFile), nil); err != nil {
		return fmt.Errorf("leave: %w", err)
	}
	if err := c.finishLeave(ctx, m); err != nil {
		err = errors.Join(err, removeFile(filepath.Join(m.dir, leavingFile)))
		if errors.Is(err, state.ErrNoQuorum) {
			return fmt.Errorf("leave: %w; or stop this node and remove %s to begin anew: what it has cached is kept", err, m.dir)
		}
		return fmt.Errorf("leave: %w", err)
	}
	return nil
}

// finishLeave gives the place away and founds a cluster of one.
func (c *Cluster) finishLeave(ctx context.Context, m *membership) error {
	if !m.removed() {
		if err := m.giveUpPlace(ctx); err != nil {
			return err
		}
	}
	err := c.change(ctx, m, func(context.Context) error {
		if err := c.prepare(freshFolder, identity.CA{}, "", nil); err != nil {
			return err
		}
		if err := c.markLeft(freshFolder, m.id.Load().ClusterID); err != nil {
			return err
		}
		if err := c.folders.markReady(freshFolder); err != nil {
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

// giveUpPlace hands this node's vote to another and has its departure written.
// Where that fails, the node stays what it was.
func (m *membership) giveUpPlace(ctx context.Context) error {
	err := m.handVote(ctx, m.c.id)
	for try := 0; err == nil; {
		_, werr := m.submit(ctx, state.RemoveNode{ID: m.c.id})
		if try++; werr == nil || errors.Is(werr, state.ErrNodeRemoved) {
			return nil
		} else if !errors.Is(werr, state.ErrUnknownOutcome) || try == leaveTries {
			err = werr
		}
	}
	// The departure closes this node's own connections: its answer may be lost.
	if m.removed() || m.outside(ctx) {
		return nil
	}
	back := state.SetNodeState{ID: m.c.id, State: state.Active}
	if _, berr := m.submit(context.WithoutCancel(ctx), back); berr != nil && !m.removed() {
		m.c.log.Warn("this node stays, and is still marked as draining", "err", berr)
	}
	return err
}

// outside asks the others whether this node is out already.
func (m *membership) outside(ctx context.Context) bool {
	var to []callee
	for _, id := range m.others() {
		if addr, ok := m.where(id); ok && len(to) < announceAtOnce {
			to = append(to, callee{id, addr})
		}
	}
	m.announceTo(ctx, to)
	return m.removed()
}

// handVote has the node id, which is about to go, give its vote and a
// leadership to another: once its departure is written nobody talks to it any
// more, and where it was the only voter nobody could ever vote again.
func (m *membership) handVote(ctx context.Context, id string) error {
	if !slices.Contains(m.raft.Quorum().Voters, id) {
		return nil
	}
	if _, err := m.submit(ctx, state.SetNodeState{ID: id, State: state.Draining}); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, voteTimeout)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		if q := m.raft.Quorum(); q.HasLeader && m.enoughWithout(id, q.Voters) {
			if q.Leader != m.c.id || id != m.c.id {
				return nil // where another leads that goes, the rest elect one of them
			}
			if err := m.raft.TransferLeadership(ctx); err != nil {
				m.c.log.Info("the leadership is not handed over yet", "err", err)
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: no other node has taken the vote of %s: bring nodes back first", state.ErrNoQuorum, m.nameOf(id))
		case <-ticker.C:
		}
	}
}

// enoughWithout reports whether the voters that answer are a majority without
// the node id, so that they can take its vote.
func (m *membership) enoughWithout(id string, voters []string) bool {
	rest := 0
	for _, v := range voters {
		if v != id && m.alive(v) {
			rest++
		}
	}
	return 2*rest > len(voters)
}

// resumeLeave finishes a leave that an earlier run began.
func (c *Cluster) resumeLeave(ctx context.Context) {
	m := c.current.Load()
	if leaving, err := exists(filepath.Join(m.dir, leavingFile)); err != nil || !leaving || m.raft == nil {
		return
	}
	for ctx.Err() == nil {
		err := c.finishLeave(ctx, m)
		if err == nil || ctx.Err() != nil || errors.Is(err, errStopping) {
			return
		}
		if m.complain("leave") {
			c.log.Warn("finish leaving later", "err", err)
		}
		pause(ctx, announceFirst)
		m = c.current.Load()
	}
}
