package state

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
)

func (t *change) setConfig(c SetConfig) error {
	if c.Expect != t.Config.Revision {
		return fmt.Errorf("configuration of revision %d, now %d: %w", c.Expect, t.Config.Revision, ErrConflict)
	}
	if l := c.Config.Limits; l.WANBytesPerSecond < 0 || l.RequestsPerOrigin < 0 {
		return invalid("a limit below 0")
	}
	for _, o := range c.Config.Origins {
		if !isLine(o.Name, maxText) {
			return invalid("origin %.80q", o.Name)
		}
		for _, h := range o.Hosts {
			if h == "" || !isLine(h, maxHost) {
				return invalid("origin %.80q: host %.80q", o.Name, h)
			}
		}
	}
	t.Config, t.changed = c.Config, true
	t.Config.Revision = t.index
	t.result.Revision = t.index
	return nil
}

// setVersion raises the cluster version, where every node runs the new one.
func (t *change) setVersion(c SetVersion) error {
	if err := checkVersion(c.Version); err != nil {
		return err
	}
	if c.Version.Number < t.Version.Number {
		return invalid("cluster version %d after %d", c.Version.Number, t.Version.Number)
	}
	for _, n := range t.Nodes {
		if n.State != Left && n.State != PreCreated && n.MaxVersion < c.Version.Number {
			return fmt.Errorf("%w: node %s runs %d to %d", ErrIncompatible, n.Name, n.MinVersion, n.MaxVersion)
		}
	}
	t.Version, t.changed = c.Version, true
	return nil
}

func (t *change) setTrust(c SetTrust) error {
	var signs string
	if len(t.Trust.CAs) > 0 {
		digest := sha256.Sum256(t.Trust.CAs[0])
		signs = hex.EncodeToString(digest[:])
	}
	if c.Expect != signs {
		return fmt.Errorf("certificate authority: %w", ErrConflict)
	}
	if err := checkTrust(c.Trust); err != nil {
		return err
	}
	t.Trust, t.changed = c.Trust, true
	return nil
}

// setKeyring replaces the keyring; its version rises with each change, by one
// where the caller gave no higher one.
func (t *change) setKeyring(c SetKeyring) error {
	if c.Expect != t.Gossip.Version {
		return fmt.Errorf("gossip keyring of version %d, now %d: %w", c.Expect, t.Gossip.Version, ErrConflict)
	}
	if err := checkSealed(c.Keyring.Sealed); err != nil {
		return err
	}
	t.Gossip, t.changed = c.Keyring, true
	t.Gossip.Version, t.Gossip.ChangedUnix = max(c.Keyring.Version, c.Expect+1), t.now
	return nil
}

// reseal replaces all that is sealed. A keyring older than the present one was
// read before a rotation: it would take the rotation back.
func (t *change) reseal(c Reseal) error {
	if c.Expect != t.SealingKeyID || c.Gossip.Version < t.Gossip.Version {
		return fmt.Errorf("sealing key: %w", ErrConflict)
	}
	if c.SealingKeyID == "" || c.SealingKeyID == c.Expect || !isLine(c.SealingKeyID, maxText) {
		return invalid("sealing key id %.80q", c.SealingKeyID)
	}
	if err := checkTrust(c.Trust); err != nil {
		return err
	}
	if err := checkSealed(c.Gossip.Sealed); err != nil {
		return err
	}
	keys := slices.Clone(c.TLSKeys)
	slices.SortFunc(keys, func(a, b TLSKey) int { return cmp.Compare(a.Name, b.Name) })
	for i, k := range keys {
		if err := checkTLSKey(k); err != nil {
			return err
		}
		if i > 0 && keys[i-1].Name == k.Name {
			return invalid("two certificates %.80q", k.Name)
		}
	}
	if len(keys) > maxTLSKeys {
		return invalid("%d certificates", len(keys))
	}
	changed := c.Gossip.ChangedUnix
	if c.Gossip.Phase != t.Gossip.Phase {
		changed = t.now
	}
	t.SealingKeyID, t.Trust, t.Gossip, t.TLSKeys, t.changed = c.SealingKeyID, c.Trust, c.Gossip, keys, true
	t.Gossip.ChangedUnix = changed
	return nil
}

func checkTLSKey(k TLSKey) error {
	if k.Name == "" || !isLine(k.Name, maxHost) || len(k.CertPEM) > maxSealed {
		return invalid("certificate %.80q", k.Name)
	}
	return checkSealed(k.SealedKey)
}

func (t *change) setTLSKey(c SetTLSKey) error {
	if err := checkTLSKey(c.Key); err != nil {
		return err
	}
	keys := slices.DeleteFunc(slices.Clone(t.TLSKeys), func(k TLSKey) bool { return k.Name == c.Key.Name })
	if len(keys) >= maxTLSKeys {
		return invalid("%d certificates are the most", maxTLSKeys)
	}
	keys = append(keys, c.Key)
	slices.SortFunc(keys, func(a, b TLSKey) int { return cmp.Compare(a.Name, b.Name) })
	t.TLSKeys, t.changed = keys, true
	return nil
}
