package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mccd/mccd/cluster/identity"
	"github.com/mccd/mccd/cluster/state"
)

// expelPatience is how long an expulsion is tried again: longer than a staged
// key keeps others out.
const expelPatience = stagedFor + 5*time.Second

// Remove takes a node out of the cluster: it is refused from then on, its
// connections are closed and the gossip key is rotated. Of a compromised node
// everything that it knew is replaced too, by the same command: sealing key,
// authority, and with it every token. A token that the node may know otherwise
// stays good: revoke it.
func (c *Cluster) Remove(ctx context.Context, node string, compromised bool) error {
	n, err := c.find(ctx, node)
	if err != nil {
		return fmt.Errorf("remove node: %w", err)
	}
	m := c.current.Load()
	switch n.ID {
	case c.id:
		return errors.New("remove node: it is the one that you ask: use mccd leave there, or ask another node")
	case "": // created, and never joined
		if _, err := m.submit(ctx, state.RemoveNode{ID: n.Name}); err != nil {
			return fmt.Errorf("remove node: %w", err)
		}
		return nil
	}
	// A vote that nobody can replace is handed over first; all others just go,
	// since the node sees what is coming and is not to be trusted.
	if q := m.raft.Quorum(); m.alive(n.ID) && n.Member() && !m.enoughWithout(n.ID, q.Voters) {
		if err := m.handVote(ctx, n.ID); err != nil {
			c.log.Warn("remove a node before another has its vote", "node", n.Name, "err", err)
		}
	}
	if compromised {
		err = m.expel(ctx, n.ID)
	} else {
		err = m.takeOut(ctx, n.ID)
	}
	if err != nil {
		return fmt.Errorf("remove node: %w", err)
	}
	m.wake()
	c.port.Enforce()
	for deadline := time.Now().Add(expelPatience); ; { // a leader may have to be elected first
		err = c.rotateAfresh(ctx, "gossip")
		if !errors.Is(err, state.ErrNoQuorum) && !errors.Is(err, state.ErrUnknownOutcome) || ctx.Err() != nil || time.Now().After(deadline) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("the node is removed, but: %w; do it by mccd rotate gossip", err)
	}
	return nil
}

// expel removes the node id and replaces all that it knew in one step. Where
// that is hindered, the node, which may be who hinders it, goes first.
func (m *membership) expel(ctx context.Context, id string) error {
	// One key for all tries: two would push each other out.
	next, err := identity.NewSealingKey()
	if err != nil {
		return err
	}
	err = m.tryExpel(ctx, id, next)
	if err == nil || errors.Is(err, state.ErrNoQuorum) {
		return err
	}
	m.c.log.Warn("replace what a removed node knew after its removal", "node", m.nameOf(id), "err", err)
	if err := m.takeOut(ctx, id); err != nil {
		return err
	}
	m.wake()
	m.c.port.Enforce()
	for deadline := time.Now().Add(expelPatience); err != nil && ctx.Err() == nil && time.Now().Before(deadline); {
		pause(ctx, dutyInterval/4)
		err = m.tryExpel(ctx, id, next)
	}
	if err != nil {
		return fmt.Errorf("the node is removed, but what it knew is not replaced: %w; repeat it with its id %s", err, id)
	}
	return nil
}

// takeOut has the removal of the node id written. Where that one leads, its
// answer is lost with its connections, and the others elect a leader first.
func (m *membership) takeOut(ctx context.Context, id string) error {
	var err error
	for deadline := time.Now().Add(expelPatience); err == nil || ctx.Err() == nil && time.Now().Before(deadline); {
		_, serr := m.submit(ctx, state.RemoveNode{ID: id, Removed: true})
		switch {
		case serr == nil, !errors.Is(serr, state.ErrUnknownOutcome) && err == nil:
			return serr
		case !errors.Is(serr, state.ErrUnknownOutcome) && !errors.Is(serr, state.ErrNoQuorum):
			return serr
		}
		err = serr
	}
	return err
}

// tryExpel does it once, and nothing where it was done.
func (m *membership) tryExpel(ctx context.Context, id string, next identity.SealingKey) error {
	st, err := m.read(ctx)
	if err != nil {
		return err
	}
	if st.SealingKeyID == next.ID() {
		return nil // its answer was lost
	}
	former, err := m.sealingNow(ctx, st.SealingKeyID)
	if err != nil {
		return err
	}
	ca, err := identity.NewCA(st.ClusterID, m.c.cfg.Now())
	if err != nil {
		return err
	}
	if err := m.stageAll(ctx, st, next, id); err != nil {
		return err
	}
	cmd, err := reseal(st, former, next)
	if err != nil {
		return err
	}
	cmd.Trust = state.Trust{CAs: [][]byte{ca.Cert.Raw}, SealedKey: ca.SealKey(next)}
	_, err = m.submit(ctx, state.Expel{ID: id, CA: state.TrustDigest(st.Trust), Reseal: cmd})
	if errors.Is(err, state.ErrUnknownOutcome) {
		if now, rerr := m.read(ctx); rerr == nil && now.SealingKeyID == next.ID() {
			return nil
		}
	}
	return err
}
