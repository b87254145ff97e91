package identity

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
)

const (
	keyringVersion = 1
	gossipKeySize  = 32
	maxKeys        = 8
)

// Keyring is the gossip's keys of 32 bytes, the primary, which encrypts,
// first; the others only decrypt. Its methods return a new Keyring.
type Keyring struct{ Keys [][]byte }

// NewKeyring makes a keyring of one new key.
func NewKeyring() (Keyring, error) { return Keyring{}.Introduce() }

// Introduce adds a new key that only decrypts yet (the first phase of a
// rotation; the first key of an empty keyring is its primary).
func (r Keyring) Introduce() (Keyring, error) {
	key := make([]byte, gossipKeySize)
	if _, err := rand.Read(key); err != nil {
		return Keyring{}, fmt.Errorf("make a gossip key: %w", err)
	}
	if len(r.Keys) >= maxKeys {
		return Keyring{}, errors.New("make a gossip key: the keyring is full")
	}
	return Keyring{Keys: append(slices.Clone(r.Keys), key)}, nil
}

// Switch makes the newest key the primary (the second phase); the others go on
// decrypting.
func (r Keyring) Switch() Keyring {
	if len(r.Keys) < 2 {
		return r
	}
	return r.With(r.Keys[len(r.Keys)-1])
}

// Settle keeps the primary alone (the end of a rotation).
func (r Keyring) Settle() Keyring {
	return Keyring{Keys: slices.Clone(r.Keys[:min(1, len(r.Keys))])}
}

// With puts the key first, the others, less this one, behind it.
func (r Keyring) With(primary []byte) Keyring {
	keys := [][]byte{primary}
	for _, k := range r.Keys {
		if !bytes.Equal(k, primary) {
			keys = append(keys, k)
		}
	}
	return Keyring{Keys: keys}
}

// Equal reports whether both hold the same keys in the same order.
func (r Keyring) Equal(other Keyring) bool {
	return slices.EqualFunc(r.Keys, other.Keys, bytes.Equal)
}

// Marshal encodes the keyring as one blob, for Seal.
func (r Keyring) Marshal() []byte {
	b := []byte{keyringVersion, byte(len(r.Keys))}
	for _, k := range r.Keys {
		b = append(b, k...)
	}
	return b
}

// UnmarshalKeyring decodes what Marshal encoded. Errors: ErrSealed, ErrNewer.
func UnmarshalKeyring(b []byte) (Keyring, error) {
	if len(b) > 0 && b[0] > keyringVersion {
		return Keyring{}, fmt.Errorf("read the gossip keyring: %w", ErrNewer)
	}
	if len(b) < 2 || b[0] != keyringVersion || b[1] == 0 || b[1] > maxKeys || len(b) != 2+int(b[1])*gossipKeySize {
		return Keyring{}, fmt.Errorf("read the gossip keyring: %w", ErrSealed)
	}
	var r Keyring
	for part := range slices.Chunk(b[2:], gossipKeySize) {
		r.Keys = append(r.Keys, slices.Clone(part))
	}
	return r, nil
}
