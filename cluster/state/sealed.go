package state

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"fmt"
	"slices"
)

// The head of a sealed secret: a version byte, then the first 8 bytes of what
// names its sealing key. Package identity seals by that format; this one reads
// no more of it.
const (
	sealVersion  = 1
	sealIDBytes  = 8
	sealOverhead = 12 + 16 // a nonce and a tag follow at least
)

// SealedBy returns the id of the sealing key under which b was sealed, as
// State.SealingKeyID names it; false where b is no sealed secret.
func SealedBy(b []byte) (keyID string, ok bool) {
	const head = 1 + sealIDBytes
	if len(b) < head+sealOverhead || b[0] != sealVersion {
		return "", false
	}
	return hex.EncodeToString(b[1:head]), true
}

// checkSealed refuses what nobody could open: a secret that is none, and one
// that was sealed under another key than that of keyID, as it was made before
// a rotation that came first.
func checkSealed(b []byte, keyID string) error {
	if len(b) > maxSealed {
		return invalid("a sealed secret of %d bytes", len(b))
	}
	by, ok := SealedBy(b)
	if !ok {
		return invalid("%d bytes are no sealed secret", len(b))
	}
	if by != keyID {
		return fmt.Errorf("sealed under key %s, now %.80q: %w", by, keyID, ErrConflict)
	}
	return nil
}

// reseal replaces all that is sealed and changes nothing of it: authorities or
// a certificate that are others now were read before they changed, and would
// come back.
func (t *change) reseal(c Reseal) error {
	if !slices.EqualFunc(c.Trust.CAs, t.Trust.CAs, bytes.Equal) {
		return fmt.Errorf("certificate authority: %w", ErrConflict)
	}
	return t.sealUnder(c)
}

// expel takes a node out and replaces what it knew.
func (t *change) expel(c Expel) error {
	if c.CA != TrustDigest(t.Trust) {
		return fmt.Errorf("certificate authority: %w", ErrConflict)
	}
	for _, ca := range c.Reseal.Trust.CAs {
		if slices.ContainsFunc(t.Trust.CAs, func(old []byte) bool { return bytes.Equal(old, ca) }) {
			return invalid("an authority that %.80q knew", c.ID)
		}
	}
	if t.nodeAt(c.ID) < 0 {
		return fmt.Errorf("%.80q: %w", c.ID, ErrNodeUnknown)
	}
	if err := t.sealUnder(c.Reseal); err != nil {
		return err
	}
	t.revokeAll()
	if err := t.removeNode(RemoveNode{ID: c.ID, Removed: true}); err != nil {
		return err
	}
	t.result.Node = t.Nodes[t.nodeAt(c.ID)]
	return nil
}

// sealUnder takes another sealing key and what is sealed under it. A keyring
// older than the present one was read before a rotation: it would take the
// rotation back.
func (t *change) sealUnder(c Reseal) error {
	if c.Expect != t.SealingKeyID || c.Gossip.Version < t.Gossip.Version {
		return fmt.Errorf("sealing key: %w", ErrConflict)
	}
	if c.SealingKeyID == c.Expect || !isHex(c.SealingKeyID, 2*sealIDBytes) {
		return invalid("sealing key id %.80q", c.SealingKeyID)
	}
	if err := checkTrust(c.Trust, c.SealingKeyID); err != nil {
		return err
	}
	if err := checkSealed(c.Gossip.Sealed, c.SealingKeyID); err != nil {
		return err
	}
	keys := slices.Clone(c.TLSKeys)
	slices.SortFunc(keys, func(a, b TLSKey) int { return cmp.Compare(a.Name, b.Name) })
	if !slices.EqualFunc(keys, t.TLSKeys, func(a, b TLSKey) bool { return a.Name == b.Name && bytes.Equal(a.CertPEM, b.CertPEM) }) {
		return fmt.Errorf("certificates for clients: %w", ErrConflict)
	}
	for _, k := range keys {
		if err := checkTLSKey(k, c.SealingKeyID); err != nil {
			return err
		}
	}
	changed := c.Gossip.ChangedUnix
	if c.Gossip.Phase != t.Gossip.Phase {
		changed = t.now
	}
	t.SealingKeyID, t.Trust, t.Gossip, t.TLSKeys, t.changed = c.SealingKeyID, c.Trust, c.Gossip, own(keys), true
	t.Gossip.ChangedUnix = changed
	return nil
}
