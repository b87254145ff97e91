package gossip

import (
	"errors"
	"fmt"

	"github.com/hashicorp/memberlist"
)

// newKeyring returns the library's keyring, nil for no keys.
func newKeyring(keys [][]byte) (*memberlist.Keyring, error) {
	if len(keys) == 0 {
		return nil, nil //nolint:nilnil // no keys, no keyring
	}
	for _, key := range keys {
		if n := len(key); n != 16 && n != 24 && n != 32 {
			return nil, fmt.Errorf("gossip key has %d bytes: want 16, 24 or 32", n)
		}
	}
	ring, err := memberlist.NewKeyring(keys[1:], keys[0])
	if err != nil {
		return nil, fmt.Errorf("gossip keys: %w", err)
	}
	return ring, nil
}

// SetKeys replaces the keys; the first encrypts what is sent, all are tried on
// what comes. A gossip that began without keys cannot be given any.
func (g *Gossip) SetKeys(keys [][]byte) error {
	if g.keys == nil {
		return errors.New("gossip is not encrypted: keys must be given at the start")
	}
	if len(keys) == 0 {
		return errors.New("no gossip keys given")
	}
	if _, err := newKeyring(keys); err != nil {
		return err
	}
	wanted := make(map[string]bool)
	for _, key := range keys {
		wanted[string(key)] = true
		if err := g.keys.AddKey(key); err != nil {
			return fmt.Errorf("add gossip key: %w", err)
		}
	}
	if err := g.keys.UseKey(keys[0]); err != nil {
		return fmt.Errorf("use gossip key: %w", err)
	}
	for _, key := range g.keys.GetKeys() {
		if !wanted[string(key)] {
			if err := g.keys.RemoveKey(key); err != nil {
				return fmt.Errorf("drop gossip key: %w", err)
			}
		}
	}
	return nil
}
