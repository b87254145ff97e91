package state

import (
	"cmp"
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

// setTrust replaces authorities. With another one that signs no token is of
// use: whoever knew the former's key may know the tokens, also one that was
// made just before.
func (t *change) setTrust(c SetTrust) error {
	if c.Expect != TrustDigest(t.Trust) {
		return fmt.Errorf("certificate authority: %w", ErrConflict)
	}
	if err := checkTrust(c.Trust, t.SealingKeyID); err != nil {
		return err
	}
	if TrustDigest(c.Trust) != c.Expect {
		t.revokeAll()
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
	if err := checkSealed(c.Keyring.Sealed, t.SealingKeyID); err != nil {
		return err
	}
	t.Gossip, t.changed = c.Keyring, true
	t.Gossip.Version, t.Gossip.ChangedUnix = max(c.Keyring.Version, c.Expect+1), t.now
	return nil
}

func checkTLSKey(k TLSKey, keyID string) error {
	if k.Name == "" || !isLine(k.Name, maxHost) || len(k.CertPEM) > maxSealed {
		return invalid("certificate %.80q", k.Name)
	}
	return checkSealed(k.SealedKey, keyID)
}

func (t *change) setTLSKey(c SetTLSKey) error {
	if err := checkTLSKey(c.Key, t.SealingKeyID); err != nil {
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
