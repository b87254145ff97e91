package cluster

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/mccd/mccd/cluster/consensus"
	"github.com/mccd/mccd/cluster/identity"
	"github.com/mccd/mccd/cluster/state"
)

// prepareRestore makes the membership of a restored cluster.
func (c *Cluster) prepareRestore(st *state.State, former identity.SealingKey) error {
	if err := c.folders.clear(freshFolder); err != nil {
		return err
	}
	if len(st.Trust.CAs) == 0 {
		return fmt.Errorf("%w: the backup has no authority", state.ErrInvalid)
	}
	now := c.cfg.Now()
	ca, err := identity.NewCA(st.ClusterID, now)
	if err != nil {
		return err
	}
	id, err := c.newIdentity(freshFolder, ca, st.ClusterID, now)
	if err != nil {
		return err
	}
	restored, err := anew(st, former, id.Sealing, ca)
	if err != nil {
		return err
	}
	record := c.record(id, now, now.Add(c.cfg.CertLife))
	record.Weight = max(1, record.Weight)
	if own, ok := st.Node(c.id); ok && own.Member() {
		record.Weight = own.Weight
	}
	restored.Nodes = append(awaited(st.Nodes, record), record)
	restored.SortNodes()
	dir := c.folders.path(freshFolder)
	if err := consensus.Seed(filepath.Join(dir, raftFolder), filepath.Join(dir, stateFile), c.id, restored); err != nil {
		return err
	}
	return c.folders.markReady(freshFolder)
}

// anew returns the state of a backup as one of the next generation, with all
// keys replaced and all tokens revoked: whoever was removed since may know
// them.
func anew(st *state.State, former, next identity.SealingKey, ca identity.CA) (*state.State, error) {
	cmd, err := reseal(st, former, next)
	if err != nil {
		return nil, err
	}
	keyring, err := identity.NewKeyring()
	if err != nil {
		return nil, err
	}
	restored := *st
	restored.Generation++
	restored.Index++
	restored.Placement = restored.Index
	restored.SealingKeyID, restored.TLSKeys = next.ID(), cmd.TLSKeys
	restored.Trust = state.Trust{CAs: [][]byte{ca.Cert.Raw}, SealedKey: ca.SealKey(next)}
	restored.Gossip = state.Keyring{
		Version: st.Gossip.Version + 1, Sealed: next.Seal(keyringPurpose, keyring.Marshal()), ChangedUnix: st.Gossip.ChangedUnix,
	}
	restored.Tokens = slices.Clone(st.Tokens)
	for i := range restored.Tokens {
		restored.Tokens[i].Revoked = true
	}
	return &restored, nil
}

// awaited returns the records of a backup's nodes beside own: those that were
// removed stay so, of the others name, zone and weight wait for a node that
// joins by that name.
func awaited(nodes []state.Node, own state.Node) []state.Node {
	var out []state.Node
	for _, n := range nodes {
		switch {
		case n.ID == own.ID, n.Name == own.Name && n.State != state.Left:
		case n.State == state.Left:
			out = append(out, n)
		default:
			out = append(out, state.Node{Name: n.Name, Zone: n.Zone, Weight: n.Weight, State: state.PreCreated, ChangedUnix: n.ChangedUnix})
		}
	}
	return out
}
