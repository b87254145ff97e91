package cluster

import (
	"context"
	"fmt"
	"time"

	"github.com/mccd/mccd/cluster/identity"
	"github.com/mccd/mccd/cluster/state"
)

// rotation is the leader's own knowledge of the rotation in progress.
type rotation struct {
	version uint64
	since   time.Time // monotonic
}

// rotateAfresh rotates the gossip key to one that is made now: the key of a
// rotation in progress is known to a node that was just removed.
func (c *Cluster) rotateAfresh(ctx context.Context, what string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*rotationPatience)
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for c.State().Gossip.Phase != state.Settled {
		select {
		case <-ctx.Done():
			return fmt.Errorf("rotate %s: an earlier rotation is in progress: %w", what, ctx.Err())
		case <-ticker.C:
		}
	}
	return c.Rotate(ctx, what)
}

// startRotation begins a rotation of the gossip key: a second key is
// introduced. One that is in progress already will do.
func (m *membership) startRotation(ctx context.Context) error {
	st, err := m.read(ctx)
	if err != nil {
		return err
	}
	if st.Gossip.Phase != state.Settled {
		return nil
	}
	return m.setKeyring(ctx, st, state.Introduced, identity.Keyring.Introduce)
}

// rotateGossip takes a rotation one step further once every living node has
// taken in the last one, or has had time enough: first all can read the new
// key, then all write it, then the old one goes. So no message is ever
// unreadable to a node that is there.
func (m *membership) rotateGossip(ctx context.Context, st *state.State) {
	if st.Gossip.Phase == state.Settled {
		m.rotating = rotation{}
		return
	}
	if m.rotating.version != st.Gossip.Version {
		m.rotating = rotation{version: st.Gossip.Version, since: time.Now()}
	}
	if !m.keyringTaken(st) && time.Since(m.rotating.since) < rotationPatience {
		return
	}
	phase, step := state.Settled, func(r identity.Keyring) (identity.Keyring, error) { return r.Settle(), nil }
	if st.Gossip.Phase == state.Introduced {
		phase, step = state.Switched, func(r identity.Keyring) (identity.Keyring, error) { return r.Switch(), nil }
	}
	if err := m.setKeyring(ctx, st, phase, step); err != nil {
		if m.complain("rotation") {
			m.c.log.Warn("rotate the gossip key", "err", err)
		}
	}
}

// keyringTaken reports whether every living member has the keyring of st.
func (m *membership) keyringTaken(st *state.State) bool {
	for _, n := range m.gossip.Members() {
		if rec, ok := st.Node(n.ID); ok && rec.State != state.Left && n.Keyring < st.Gossip.Version {
			return false
		}
	}
	return true
}

func (m *membership) setKeyring(ctx context.Context, st *state.State, phase state.RotationPhase, step func(identity.Keyring) (identity.Keyring, error)) error {
	sealing, err := m.sealingNow(ctx, st.SealingKeyID)
	if err != nil {
		return err
	}
	raw, err := sealing.Open(keyringPurpose, st.Gossip.Sealed)
	if err != nil {
		return err
	}
	keys, err := identity.UnmarshalKeyring(raw)
	if err != nil {
		return err
	}
	if keys, err = step(keys); err != nil {
		return err
	}
	_, err = m.submit(ctx, state.SetKeyring{Expect: st.Gossip.Version, Keyring: state.Keyring{
		Version: st.Gossip.Version + 1, Sealed: sealing.Seal(keyringPurpose, keys.Marshal()), Phase: phase,
	}})
	return err
}
