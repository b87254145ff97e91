package identity

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
)

// NodeKey is a node's private key. The zero NodeKey is none.
type NodeKey struct {
	key *keyBox
}

// keyBox hides a key behind two pointers: fmt cannot call the methods of what
// lies in others' unexported fields, and with a verb that does not fit it
// follows one pointer.
type keyBox struct{ key *ed25519.PrivateKey }

func newNodeKey(key ed25519.PrivateKey) NodeKey { return NodeKey{key: &keyBox{key: &key}} }

// NewNodeKey makes a key.
func NewNodeKey() (NodeKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return NodeKey{}, fmt.Errorf("make a node key: %w", err)
	}
	return newNodeKey(key), nil
}

// IsZero reports whether there is no key.
func (k NodeKey) IsZero() bool { return k.key == nil }

// Public returns the public key; nil of the zero NodeKey.
func (k NodeKey) Public() ed25519.PublicKey {
	if k.key == nil {
		return nil
	}
	pub, _ := k.key.key.Public().(ed25519.PublicKey)
	return pub
}

// Digest names the key: the SHA-256 of its SubjectPublicKeyInfo in
// hexadecimal, the same as KeyDigest of its certificates.
func (k NodeKey) Digest() string { return PublicDigest(k.Public()) }

// Signer returns the key for use.
func (k NodeKey) Signer() crypto.Signer {
	if k.key == nil {
		return nil
	}
	return *k.key.key
}

// PublicDigest is NodeKey.Digest of a public key; empty of none.
func PublicDigest(pub ed25519.PublicKey) string {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil || len(pub) != ed25519.PublicKeySize {
		return ""
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// KeyDigest names the key of a certificate.
func KeyDigest(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	return hex.EncodeToString(sum[:])
}
