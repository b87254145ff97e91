package identity

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

const (
	sealVersion = 1
	sealIDSize  = 8
	sealHead    = 1 + sealIDSize
)

// SealingKey seals the secrets that the replicated state carries. It is never
// in that state itself, only in a file of every node.
type SealingKey [32]byte

// NewSealingKey makes a key.
func NewSealingKey() (SealingKey, error) {
	var k SealingKey
	if _, err := rand.Read(k[:]); err != nil {
		return SealingKey{}, fmt.Errorf("make a sealing key: %w", err)
	}
	return k, nil
}

// IsZero reports whether there is no key.
func (k SealingKey) IsZero() bool { return k == SealingKey{} }

// ID names the key: 16 hexadecimal digits that tell nothing of it.
func (k SealingKey) ID() string { return hex.EncodeToString(k.id()) }

func (k SealingKey) id() []byte {
	sum := sha256.Sum256(append([]byte("mccd sealing key id\x00"), k[:]...))
	return sum[:sealIDSize]
}

// Seal encrypts plain with AES-256-GCM for Open with the same purpose: a
// version byte, the key's id, a random nonce and the sealed bytes. The purpose
// keeps one sealed secret from taking another's place.
func (k SealingKey) Seal(purpose string, plain []byte) []byte {
	head := append([]byte{sealVersion}, k.id()...)
	return k.aead().Seal(head, nil, plain, sealData(head, purpose)) //nolint:gosec // nil: the AEAD draws its own random nonce
}

// Open gives back what Seal sealed. Errors: ErrOtherKey, ErrSealed, ErrNewer.
func (k SealingKey) Open(purpose string, sealed []byte) ([]byte, error) {
	aead := k.aead()
	if len(sealed) == 0 {
		return nil, ErrSealed
	}
	if sealed[0] > sealVersion {
		return nil, ErrNewer
	}
	if sealed[0] != sealVersion || len(sealed) < sealHead+aead.Overhead() {
		return nil, ErrSealed
	}
	head := sealed[:sealHead:sealHead]
	if id := hex.EncodeToString(head[1:]); id != k.ID() {
		return nil, fmt.Errorf("%w: %s, and this node's is %s", ErrOtherKey, id, k.ID())
	}
	plain, err := aead.Open(nil, nil, sealed[sealHead:], sealData(head, purpose))
	if err != nil {
		return nil, ErrSealed
	}
	return plain, nil
}

// aead puts a random nonce of 12 bytes before what it seals: good for 2^32
// messages of one key, and a cluster seals a few.
func (k SealingKey) aead() cipher.AEAD {
	block, err := aes.NewCipher(k[:])
	if err != nil {
		panic("identity: 32 bytes are an AES key: " + err.Error())
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic("identity: AES has a GCM: " + err.Error())
	}
	return aead
}

func sealData(head []byte, purpose string) []byte {
	return append(append([]byte(nil), head...), purpose...)
}
