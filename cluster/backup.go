package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"filippo.io/age"
	"filippo.io/age/armor"

	"github.com/mccd/mccd/cluster/consensus"
	"github.com/mccd/mccd/cluster/identity"
	"github.com/mccd/mccd/cluster/state"
)

const (
	backupVersion = 1
	// maxBackup bounds what Restore reads, in bytes.
	maxBackup = 256 << 20
	// minPassphrase is the least of it, in bytes.
	minPassphrase = 8
)

// backup is what a backup holds, encrypted as a whole.
type backup struct {
	Version     int    `json:"version"`
	ClusterID   string `json:"cluster_id"`
	CreatedUnix int64  `json:"created_unix"`
	// State is the replicated state, SealingKey opens its secrets.
	State      []byte `json:"state"`
	SealingKey []byte `json:"sealing_key"`
}

// Backup returns the configuration of the cluster with its secrets, encrypted
// by a passphrase: an age file (age-encryption.org), so that it can be opened
// without mccd. Without a leader it is what this node has applied.
func (c *Cluster) Backup(ctx context.Context, passphrase string) ([]byte, error) {
	m := c.current.Load()
	st, err := m.read(ctx)
	if errors.Is(err, state.ErrNoQuorum) {
		c.log.Warn("back up what this node has applied: there is no quorum")
		st, err = m.state(), nil
	}
	if err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	id := m.id.Load()
	if st.ClusterID == "" || st.SealingKeyID != id.Sealing.ID() {
		return nil, errors.New("backup: keys are being rotated: try again")
	}
	plain, err := json.Marshal(backup{
		Version: backupVersion, ClusterID: st.ClusterID, CreatedUnix: c.cfg.Now().Unix(), State: state.Marshal(st), SealingKey: id.Sealing[:],
	})
	if err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	out, err := encrypt(plain, passphrase)
	if err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	return out, nil
}

func encrypt(plain []byte, passphrase string) ([]byte, error) {
	if len(passphrase) < minPassphrase {
		return nil, fmt.Errorf("%w: the passphrase has %d bytes, the least is %d", state.ErrInvalid, len(passphrase), minPassphrase)
	}
	recipient, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	armored := armor.NewWriter(&out)
	w, err := age.Encrypt(armored, recipient)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(plain); err != nil {
		return nil, err
	}
	if err := errors.Join(w.Close(), armored.Close()); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func decrypt(sealed []byte, passphrase string) (*backup, error) {
	who, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", state.ErrPassphrase, err)
	}
	who.SetMaxWorkFactor(20)
	r, err := age.Decrypt(armor.NewReader(bytes.NewReader(sealed)), who)
	if noMatch, ok := errors.AsType[*age.NoIdentityMatchError](err); ok {
		return nil, fmt.Errorf("%w: %w", state.ErrPassphrase, noMatch)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: not a backup of mccd: %w", state.ErrInvalid, err)
	}
	plain, err := io.ReadAll(io.LimitReader(r, maxBackup))
	if err != nil {
		return nil, fmt.Errorf("%w: damaged: %w", state.ErrInvalid, err)
	}
	var b backup
	if err := json.Unmarshal(plain, &b); err != nil || len(b.SealingKey) != len(identity.SealingKey{}) {
		return nil, fmt.Errorf("%w: not a backup of mccd", state.ErrInvalid)
	}
	if b.Version > backupVersion {
		return nil, fmt.Errorf("backup format %d: %w", b.Version, state.ErrVersion)
	}
	return &b, nil
}

// Restore makes this node, which must be alone, the one voter of the cluster
// of a backup, with its configuration, tokens and keys and a recovery
// generation of its own. The nodes of the backup keep their places until they
// are removed; those that still live take their configuration from here.
func (c *Cluster) Restore(ctx context.Context, sealed []byte, passphrase string) error {
	b, err := decrypt(sealed, passphrase)
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	st, err := state.Unmarshal(b.State)
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	m := c.current.Load()
	own := m.id.Load().ClusterID
	if len(m.others()) > 0 || own == st.ClusterID && m.raft != nil && m.raft.Quorum().HasLeader && st.Generation <= m.state().Generation {
		return fmt.Errorf("restore: %w", errMember)
	}
	if err := c.prepareRestore(st, identity.SealingKey(b.SealingKey)); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	err = c.change(ctx, m, func(context.Context) error {
		if err := c.folders.replace(freshFolder); err != nil {
			return err
		}
		return c.folders.clear(formerFolder)
	})
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	c.log.Warn("restored the cluster from a backup", "cluster", st.ClusterID, "generation", st.Generation+1)
	return nil
}

// prepareRestore makes the membership of a restored cluster.
func (c *Cluster) prepareRestore(st *state.State, sealing identity.SealingKey) error {
	if err := c.folders.clear(freshFolder); err != nil {
		return err
	}
	dir := c.folders.path(freshFolder)
	folder, err := identity.OpenFolder(dir)
	if err != nil {
		return err
	}
	ca, err := identity.OpenCA(st.Trust.CAs[0], st.Trust.SealedKey, sealing)
	if err != nil {
		return err
	}
	key, err := identity.NewNodeKey()
	if err != nil {
		return err
	}
	now := c.cfg.Now()
	cert, err := ca.Sign(key.Public(), st.ClusterID, c.id, now, c.cfg.CertLife)
	if err != nil {
		return err
	}
	id := identity.Identity{ClusterID: st.ClusterID, NodeID: c.id, Key: key, Cert: cert, CAs: st.Trust.CAs, Sealing: sealing}
	if err := folder.Save(id); err != nil {
		return err
	}
	restored := *st
	restored.Generation++
	restored.Index++
	restored.Placement = restored.Index
	restored.Nodes = nil
	record := c.record(id, now, now.Add(c.cfg.CertLife))
	record.Weight = max(1, record.Weight)
	for _, n := range st.Nodes {
		if n.ID == c.id {
			record.Weight = n.Weight
			continue
		}
		if n.Name == record.Name && n.State != state.Left {
			n.State = state.Left // this node takes its place
		}
		restored.Nodes = append(restored.Nodes, n)
	}
	restored.Nodes = append(restored.Nodes, record)
	restored.SortNodes()
	if err := consensus.Seed(filepath.Join(dir, raftFolder), filepath.Join(dir, stateFile), c.id, &restored); err != nil {
		return err
	}
	return c.folders.markReady(freshFolder)
}
