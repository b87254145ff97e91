package cluster

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/mccd/mccd/cluster/identity"
	"github.com/mccd/mccd/cluster/state"
	clusterv1 "github.com/mccd/mccd/proto/mccd/cluster/v1"
)

// stageTimeout bounds the handing out of a staged key to one node.
const stageTimeout = 3 * time.Second

// rotateSealing replaces the sealing key and seals everything anew. The new
// key is handed to the living nodes first, and to more than half of all: it
// must outlive any one of them, since the state holds nothing readable without
// it. Nodes that were away ask for it (Renew).
func (m *membership) rotateSealing(ctx context.Context) error {
	st, err := m.read(ctx)
	if err != nil {
		return err
	}
	id := m.id.Load()
	if st.SealingKeyID != id.Sealing.ID() {
		return fmt.Errorf("%w: another rotation is in progress", state.ErrConflict)
	}
	next, err := identity.NewSealingKey()
	if err != nil {
		return err
	}
	if err := m.stageAll(ctx, st, next, ""); err != nil {
		return err
	}
	cmd, err := reseal(st, id.Sealing, next)
	if err != nil {
		return err
	}
	_, err = m.submit(ctx, cmd)
	m.wake()
	return err
}

// stageAll hands key to the living members, but not to the node that is expelled.
func (m *membership) stageAll(ctx context.Context, st *state.State, key identity.SealingKey, expelled string) error {
	if err := m.stage(key, m.c.id); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, stageTimeout)
	defer cancel()
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		taken = 1
	)
	members := slices.DeleteFunc(slices.Clone(st.Members()), func(n state.Node) bool { return n.ID == expelled })
	for _, n := range members {
		if n.ID == m.c.id || !m.alive(n.ID) {
			continue
		}
		wg.Go(func() {
			client, err := m.node(n.ID)
			if err == nil {
				_, err = client.Stage(ctx, &clusterv1.StageRequest{SealingKey: key[:]})
			}
			if err != nil {
				m.c.log.Warn("hand the new sealing key to a node", "node", n.Name, "err", err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			taken++
		})
	}
	wg.Wait()
	if 2*taken <= len(members) {
		return fmt.Errorf("%d of %d nodes took the new key, more than half must: bring nodes back first", taken, len(members))
	}
	return nil
}

// reseal returns the command that names the key next, with all that was sealed
// under the former one.
func reseal(st *state.State, former, next identity.SealingKey) (state.Reseal, error) {
	cmd := state.Reseal{Expect: former.ID(), SealingKeyID: next.ID(), Trust: st.Trust, Gossip: st.Gossip}
	ca, err := identity.OpenCA(st.Trust.CAs[0], st.Trust.SealedKey, former)
	if err != nil {
		return cmd, err
	}
	cmd.Trust.SealedKey = ca.SealKey(next)
	keyring, err := former.Open(keyringPurpose, st.Gossip.Sealed)
	if err != nil {
		return cmd, err
	}
	cmd.Gossip.Sealed = next.Seal(keyringPurpose, keyring)
	for _, k := range st.TLSKeys {
		plain, err := former.Open(tlsKeyPurpose+k.Name, k.SealedKey)
		if err != nil {
			return cmd, fmt.Errorf("certificate %q: %w", k.Name, err)
		}
		k.SealedKey = next.Seal(tlsKeyPurpose+k.Name, plain)
		cmd.TLSKeys = append(cmd.TLSKeys, k)
	}
	return cmd, nil
}

// tlsKeyPurpose binds a sealed key of a certificate for clients to its name.
const tlsKeyPurpose = "client tls key "

// rotateCA replaces the authority. Members are known by their keys, so the
// former one is trusted no longer at once; the same command revokes the tokens,
// which pin it.
func (m *membership) rotateCA(ctx context.Context) error {
	st, err := m.read(ctx)
	if err != nil {
		return err
	}
	sealing, err := m.sealingNow(ctx, st.SealingKeyID)
	if err != nil {
		return err
	}
	ca, err := identity.NewCA(st.ClusterID, m.c.cfg.Now())
	if err != nil {
		return err
	}
	_, err = m.submit(ctx, state.SetTrust{
		Expect: state.TrustDigest(st.Trust), Trust: state.Trust{CAs: [][]byte{ca.Cert.Raw}, SealedKey: ca.SealKey(sealing)},
	})
	m.wake()
	return err
}

// sealingNow waits until this node has the sealing key of that id.
func (m *membership) sealingNow(ctx context.Context, keyID string) (identity.SealingKey, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*stageTimeout)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		if id := m.id.Load(); id.Sealing.ID() == keyID {
			return id.Sealing, nil
		}
		m.wake()
		select {
		case <-ctx.Done():
			return identity.SealingKey{}, fmt.Errorf("%w: the sealing key is being rotated", state.ErrConflict)
		case <-ticker.C:
		}
	}
}
