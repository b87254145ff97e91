package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mccd/mccd/cluster/state"
	clusterv1 "github.com/mccd/mccd/proto/mccd/cluster/v1"
)

const (
	// stepAtMost bounds by how much a recovery generation rises at once.
	stepAtMost = 1024
	// proofTimeout bounds the question for the state of a later generation,
	// proofPause is between two that had no answer to believe.
	proofTimeout, proofPause = 5 * time.Second, time.Second
)

// generation is the least recovery generation whose log this node takes in:
// that of its state, or the one for which it has given up its log.
func (m *membership) generation() uint32 {
	return max(m.state().Generation, m.c.relearned.Load())
}

// empty reports whether this node has no log: it takes what comes.
func (m *membership) empty() bool {
	return m.state().ClusterID == "" || m.raft.Quorum().LastIndex == 0
}

// sawGeneration has this node begin anew where the cluster was rebuilt while
// it was away: a log of a former generation must not meet one of a later.
//
// A number alone is not believed, since it would cost every node its log: the
// node that tells it must be one that the state knows, follow a leader, and
// show the state of that generation with this node in it. So a copy of the
// cluster that somebody restored from a backup elsewhere does not take it over.
//
// Two recoveries of one generation are two histories: neither gives way, and
// status says so.
func (m *membership) sawGeneration(from string, generation uint32, recovery string) {
	if m.raft == nil || m.state().ClusterID == "" {
		return
	}
	st := m.state()
	if n, known := st.Node(from); !known || n.State == state.Left {
		return
	}
	if generation == st.Generation {
		m.sawRecovery(from, recovery)
		return
	}
	if generation < m.generation() || generation <= st.Generation || m.empty() || generation-st.Generation > stepAtMost {
		return
	}
	if !m.outdated.CompareAndSwap(false, true) {
		return
	}
	m.c.spawn(func(ctx context.Context) {
		defer m.outdated.Store(false)
		if err := m.prove(ctx, from, generation, recovery); err != nil {
			if ctx.Err() == nil && m.complain("generation") {
				m.c.log.Warn("a node tells of a rebuilt cluster and does not prove it", "node", from, "generation", generation, "err", err)
			}
			pause(ctx, proofPause)
			return
		}
		m.c.log.Warn("the cluster was rebuilt meanwhile; this node takes its configuration anew", "generation", generation, "was", st.Generation)
		before := m.c.relearned.Swap(generation) // before the log is gone: none of a former one must take its place
		if err := m.c.change(ctx, m, func(context.Context) error { return m.c.forgetLog() }); err != nil {
			m.c.relearned.CompareAndSwap(generation, before)
			if ctx.Err() == nil {
				m.c.log.Error("begin anew", "err", err)
			}
		}
	})
}

// sawRecovery notes that the node from is of another history of the same
// generation, or is not any more.
func (m *membership) sawRecovery(from, recovery string) {
	if recovery == m.state().RecoveryID {
		if forked := m.forked.Load(); forked != nil && *forked == from {
			m.forked.Store(nil)
		}
		return
	}
	m.forked.Store(&from)
	if m.complain("recovery") {
		m.c.log.Error("a node is of another recovery of the same generation: the cluster was recovered or restored twice; "+
			"remove the data of all nodes of one side and join them anew", "node", from, "name", m.nameOf(from), "generation", m.state().Generation)
	}
}

// prove asks the node from, over a connection whose certificate was checked,
// for the state of that generation.
func (m *membership) prove(ctx context.Context, from string, generation uint32, recovery string) error {
	ctx, cancel := context.WithTimeout(ctx, proofTimeout)
	defer cancel()
	client, err := m.node(from)
	if err != nil {
		return err
	}
	answer, err := client.Read(ctx, &clusterv1.ReadRequest{Applied: true})
	if err != nil {
		return fmt.Errorf("ask for its state: %w", err)
	}
	st, err := state.Unmarshal(answer.GetState())
	if err != nil {
		return err
	}
	own, there := st.Node(m.c.id)
	them, _ := st.Node(from)
	leader, led := st.Node(answer.GetLeader())
	here, seen := m.state().Node(answer.GetLeader())
	switch {
	case st.ClusterID != m.id.Load().ClusterID:
		return errors.New("its state is of another cluster")
	case st.Generation != generation || st.RecoveryID != recovery:
		return fmt.Errorf("its state is of generation %d", st.Generation)
	case !there || own.State == state.Left || own.Key != m.id.Load().Key.Digest():
		return errors.New("its state does not know this node")
	case !them.Member():
		return errors.New("it is no member by its own state")
	case answer.GetLeader() == "" || !led || leader.State == state.Left:
		return errors.New("it follows no leader")
	case seen && here.State == state.Left:
		return errors.New("it follows a node that left this cluster, or was removed from it")
	}
	return nil
}
