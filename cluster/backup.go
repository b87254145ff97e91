package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"filippo.io/age"
	"filippo.io/age/armor"

	"github.com/mccd/mccd/cluster/identity"
	"github.com/mccd/mccd/cluster/state"
)

const (
	backupVersion = 1
	// maxBackup bounds what Restore reads, in bytes.
	maxBackup = 256 << 20
	// minPassphrase is the least of it, in bytes.
	minPassphrase = 8
	// survivorTimeout bounds the search for nodes of a backup that live.
	survivorTimeout = 3 * time.Second
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
	return parseBackup(plain)
}

// parseBackup reads what a backup holds.
func parseBackup(plain []byte) (*backup, error) {
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
// of a backup, with its configuration and a recovery generation of its own,
// where no node of it is left. Every key is
// made anew and every token revoked: who was removed since the backup is not in
// it again. Names, zones and weights of the backup's nodes wait for nodes that
// join by them.
func (c *Cluster) Restore(ctx context.Context, sealed []byte, passphrase string) error {
	if len(c.current.Load().others()) > 0 {
		return fmt.Errorf("restore: %w", errMember)
	}
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
	if err := c.survivors(ctx, st); err != nil {
		return fmt.Errorf("restore: %w", err)
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

// survivors refuses a restore where a node of the backup still answers at its
// last address: it knows more than the backup.
func (c *Cluster) survivors(ctx context.Context, st *state.State) error {
	ctx, cancel := context.WithTimeout(ctx, survivorTimeout)
	defer cancel()
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		errs []error
	)
	for _, n := range st.Nodes {
		if n.ID == c.id || n.State == state.Left || n.PeerAddr == "" || n.PeerAddr == c.cfg.PeerAddr {
			continue
		}
		wg.Go(func() {
			conn, _, err := c.port.DialPinned(ctx, n.PeerAddr, func(der []byte) bool {
				return slices.ContainsFunc(st.Trust.CAs, func(ca []byte) bool { return bytes.Equal(ca, der) })
			})
			if err != nil {
				return // it is not there, or is of another cluster by now
			}
			_ = conn.Close()
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, fmt.Errorf("node %s of this cluster answers at %s: join it, or mccd recover there; a backup is for when no node is left", n.Name, n.PeerAddr))
		})
	}
	wg.Wait()
	if len(errs) > 0 {
		return fmt.Errorf("%w: %w", state.ErrInCluster, errors.Join(errs...))
	}
	return nil
}
