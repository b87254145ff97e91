package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/mccd/mccd/cluster/identity"
	"github.com/mccd/mccd/cluster/state"
	"github.com/mccd/mccd/ring"
)

const (
	// keyringPurpose binds the sealed keyring to its use.
	keyringPurpose = "gossip keyring"
	// clusterVersion is what this release runs; minVersion the oldest that it
	// can still run.
	clusterVersion, minVersion = 1, 1
	// formingFile marks the folder of a node that waits for its cluster to be
	// founded.
	formingFile = "forming"
)

// found makes the fresh folder that of a cluster of one, ready to be used.
func (c *Cluster) found(ca identity.CA, clusterID string, tokens []state.Token) error {
	if err := c.prepare(freshFolder, ca, clusterID, tokens); err != nil {
		return err
	}
	return c.folders.markReady(freshFolder)
}

// prepare fills the folder named name for a cluster of one. ca and clusterID
// are made where ca has no key; tokens are those that the cluster begins with.
func (c *Cluster) prepare(name string, ca identity.CA, clusterID string, tokens []state.Token) error {
	now := c.cfg.Now()
	var err error
	if ca.Cert == nil {
		clusterID = randomHex(16)
		if ca, err = identity.NewCA(clusterID, now); err != nil {
			return err
		}
	}
	id, err := c.newIdentity(name, ca, clusterID, now)
	if err != nil {
		return err
	}
	keyring, err := identity.NewKeyring()
	if err != nil {
		return err
	}
	unit := c.cfg.DriveBytes
	if c.cfg.Weight > 0 {
		unit /= int64(c.cfg.Weight)
	}
	founding := state.Init{
		ClusterID: clusterID, Node: c.record(id, now, now.Add(c.cfg.CertLife)), Trust: state.Trust{CAs: id.CAs, SealedKey: ca.SealKey(id.Sealing)},
		Gossip:       state.Keyring{Version: 1, Sealed: id.Sealing.Seal(keyringPurpose, keyring.Marshal())},
		SealingKeyID: id.Sealing.ID(), Tokens: tokens, RingFormat: ring.FormatVersion,
		Version: state.Version{Number: clusterVersion}, WeightUnit: max(1, unit),
	}
	raw, err := state.Encode(founding, now.Unix())
	if err != nil {
		return fmt.Errorf("found cluster: %w", err)
	}
	// What Raft would refuse later must not take the place of what stands.
	if _, res := state.Apply(&state.State{}, raw, 1); res.Err != nil {
		return fmt.Errorf("found cluster: %w", res.Err)
	}
	if err := writeAtomic(filepath.Join(c.folders.path(name), initFile), raw); err != nil {
		return fmt.Errorf("found cluster: %w", err)
	}
	return nil
}

// newIdentity makes a sealing key and the node's own key and certificate, and
// keeps them in the folder named name, which is made anew.
func (c *Cluster) newIdentity(name string, ca identity.CA, clusterID string, now time.Time) (identity.Identity, error) {
	if err := c.folders.clear(name); err != nil {
		return identity.Identity{}, err
	}
	folder, err := identity.OpenFolder(c.folders.path(name))
	if err != nil {
		return identity.Identity{}, err
	}
	key, err := identity.NewNodeKey()
	if err != nil {
		return identity.Identity{}, err
	}
	sealing, err := identity.NewSealingKey()
	if err != nil {
		return identity.Identity{}, err
	}
	cert, err := ca.Sign(key.Public(), clusterID, c.id, now, c.cfg.CertLife)
	if err != nil {
		return identity.Identity{}, err
	}
	id := identity.Identity{ClusterID: clusterID, NodeID: c.id, Key: key, Cert: cert, CAs: [][]byte{ca.Cert.Raw}, Sealing: sealing}
	return id, folder.Save(id)
}

// record is this node's own record, active.
func (c *Cluster) record(id identity.Identity, now, until time.Time) state.Node {
	return state.Node{
		ID: c.id, Name: c.cfg.Name, Zone: c.cfg.Zone, Weight: c.cfg.Weight, DriveBytes: c.cfg.DriveBytes, State: state.Active,
		PeerAddr: c.cfg.PeerAddr, Key: id.Key.Digest(), CertSerial: serialOf(id.Cert), CertNotAfter: until.Unix(),
		Release: c.cfg.Release, MinVersion: minVersion, MaxVersion: clusterVersion, ChangedUnix: now.Unix(),
	}
}

// loadFounding returns the founding command that Raft may not have yet, nil
// where there is none.
func loadFounding(dir string) (*state.Init, error) {
	raw, err := readBounded(filepath.Join(dir, initFile), 1<<20)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // no command is the usual case
	}
	if err != nil {
		return nil, fmt.Errorf("read founding command: %w", err)
	}
	cmd, _, err := state.Decode(raw)
	if err != nil {
		return nil, fmt.Errorf("read founding command: %w", err)
	}
	founding, ok := cmd.(state.Init)
	if !ok {
		return nil, fmt.Errorf("file %s is damaged: remove it if the folder holds raft/", filepath.Join(dir, initFile))
	}
	return &founding, nil
}

// founded forgets the founding command once the state has it.
func (m *membership) founded() {
	if m.state().ClusterID == "" {
		return
	}
	if err := removeFile(filepath.Join(m.dir, initFile)); err != nil {
		m.c.log.Warn("forget the founding command", "err", err)
	}
}

// boot makes the data directory hold a membership: the one that it has, one
// that a crash left half done, or a cluster of one.
func (c *Cluster) boot() error {
	if err := c.folders.settle(); err != nil {
		return err
	}
	stands, err := exists(c.folders.path(memberFolder))
	if err != nil || stands {
		return err
	}
	if len(c.cfg.JoinSecret) > 0 {
		err = c.prepareForming()
	} else {
		err = c.found(identity.CA{}, "", nil)
	}
	if err != nil {
		return err
	}
	return c.folders.replace(freshFolder)
}
