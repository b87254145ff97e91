package servercert

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// The kinds of keys.
const (
	RSA     = "rsa"
	EC      = "ec"
	Ed25519 = "ed25519"
)

// rsaBits is the length of the RSA keys that are made, leastRSABits of those
// that are taken.
const rsaBits, leastRSABits = 2048, 2048

// ErrKey tells that something is not a private key that can be used.
var ErrKey = errors.New("not a usable private key")

// NewKey makes a key of a kind: RSA with 2048 bits, EC on P-256, or Ed25519,
// which many clients do not take yet.
func NewKey(kind string) (crypto.Signer, error) {
	switch kind {
	case RSA:
		return rsa.GenerateKey(rand.Reader, rsaBits)
	case EC:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case Ed25519:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	default:
		return nil, fmt.Errorf("%q is not a kind of key: use %s, %s or %s", kind, RSA, EC, Ed25519)
	}
}

// MarshalKey returns key as PEM (PKCS #8).
func MarshalKey(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("%w: %T", ErrKey, key)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// ParseKey reads the first private key of a PEM file: PKCS #8, or the forms
// that openssl writes of RSA and EC keys. Its errors are ErrKey and tell
// nothing of what was read.
func ParseKey(text []byte) (crypto.Signer, error) {
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return nil, fmt.Errorf("%w: the file holds no PEM block of one", ErrKey)
		}
		var key any
		var err error
		switch block.Type {
		case "PRIVATE KEY":
			key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		case "RSA PRIVATE KEY":
			if block.Headers["DEK-Info"] != "" {
				return nil, fmt.Errorf("%w: it is encrypted; decrypt it first (openssl pkey)", ErrKey)
			}
			key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
		case "EC PRIVATE KEY":
			key, err = x509.ParseECPrivateKey(block.Bytes)
		case "ENCRYPTED PRIVATE KEY":
			return nil, fmt.Errorf("%w: it is encrypted; decrypt it first (openssl pkey)", ErrKey)
		default:
			continue // parameters, or the certificates in one file with it
		}
		if err != nil {
			return nil, fmt.Errorf("%w: it cannot be read", ErrKey)
		}
		return usable(key)
	}
}

func usable(key any) (crypto.Signer, error) {
	switch k := key.(type) {
	case *rsa.PrivateKey:
		if k.N.BitLen() < leastRSABits {
			return nil, fmt.Errorf("%w: RSA with %d bits; clients want at least %d", ErrKey, k.N.BitLen(), leastRSABits)
		}
		return k, nil
	case *ecdsa.PrivateKey:
		if k.Curve == elliptic.P224() {
			return nil, fmt.Errorf("%w: EC on P-224, which TLS does not know; use P-256, P-384 or P-521", ErrKey)
		}
		return k, nil
	case ed25519.PrivateKey:
		return k, nil
	default:
		return nil, fmt.Errorf("%w: %T", ErrKey, key)
	}
}

// KindOf says what kind of key pub is, for people.
func KindOf(pub crypto.PublicKey) string {
	switch k := pub.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", k.N.BitLen())
	case *ecdsa.PublicKey:
		return "EC " + k.Curve.Params().Name
	case ed25519.PublicKey:
		return "Ed25519"
	default:
		return "unknown"
	}
}

// same reports whether two public keys are one.
func same(a, b crypto.PublicKey) bool {
	k, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(b)
}
