package identity

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"math/big"
	"time"
)

const (
	caYears = 20
	// backdate is how far another node's clock may be behind the one that
	// dated a certificate.
	backdate = 24 * time.Hour
	// minSecret is the least length of a join secret, in bytes.
	minSecret = 16
)

// CA is a cluster's own certificate authority. A CA without Key only verifies.
type CA struct {
	Cert *x509.Certificate
	Key  ed25519.PrivateKey
}

// NewCA makes an authority for the cluster, valid for 20 years from a day
// before now.
func NewCA(clusterID string, now time.Time) (CA, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return CA{}, fmt.Errorf("make an authority: %w", err)
	}
	serial := make([]byte, 16)
	if _, err := rand.Read(serial); err != nil {
		return CA{}, fmt.Errorf("make an authority: %w", err)
	}
	from := now.Add(-backdate).Truncate(time.Second)
	return newCA(clusterID, key, serial, from, from.AddDate(caYears, 0, 0))
}

// stretching is what a guess at a join secret costs: rounds of PBKDF2 with
// SHA-256. Every stranger is shown the authority's public key, by which a guess
// can be checked; the secret should be random all the same.
const stretching = 100_000

// DeriveCA makes the authority, the cluster's id and the secret of the first
// token out of a join secret: the same everywhere and for ever, byte for byte.
// It takes a moment on purpose: call it once.
// White space around the secret does not count, since files end in a newline.
// Fewer than 16 bytes are refused: ErrShortSecret.
func DeriveCA(secret []byte) (ca CA, clusterID, joinSecret string, err error) {
	secret = bytes.TrimSpace(secret)
	if len(secret) < minSecret {
		return CA{}, "", "", ErrShortSecret
	}
	root, err := pbkdf2.Key(sha256.New, string(secret), []byte("mccd join secret 1"), stretching, sha256.Size)
	if err != nil {
		return CA{}, "", "", fmt.Errorf("derive an authority: %w", err)
	}
	parts := make(map[string][]byte)
	for label, size := range map[string]int{
		"authority key": ed25519.SeedSize, "authority serial": 16, "cluster id": 16, "token": tokenSecretSize,
	} {
		if parts[label], err = hkdf.Expand(sha256.New, root, "mccd "+label, size); err != nil {
			return CA{}, "", "", fmt.Errorf("derive an authority: %w", err)
		}
	}
	clusterID = hex.EncodeToString(parts["cluster id"])
	// Fixed dates: whoever derives it, whenever, gets the same bytes.
	from := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	ca, err = newCA(clusterID, ed25519.NewKeyFromSeed(parts["authority key"]), parts["authority serial"], from, from.AddDate(60, 0, 0))
	return ca, clusterID, base32Lower().EncodeToString(parts["token"]), err
}

func newCA(clusterID string, key ed25519.PrivateKey, serial []byte, from, to time.Time) (CA, error) {
	if !validID(clusterID) {
		return CA{}, fmt.Errorf("make an authority: %q is no cluster id", clusterID)
	}
	serial[0] &= 0x7f // a serial number is positive
	serial[0] |= 0x40 // and of one length
	pub, _ := key.Public().(ed25519.PublicKey)
	keyID := sha256.Sum256(pub)
	template := &x509.Certificate{
		SerialNumber:          new(big.Int).SetBytes(serial),
		Subject:               pkix.Name{CommonName: "mccd cluster " + clusterID},
		NotBefore:             from,
		NotAfter:              to,
		KeyUsage:              x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
		// Set here, since the library's own choice differs between releases.
		SubjectKeyId: keyID[:20],
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, pub, key)
	if err != nil {
		return CA{}, fmt.Errorf("make an authority: %w", err)
	}
	return ParseCA(der, key)
}

// ParseCA puts an authority together again; key may be nil. It refuses what is
// no authority of this kind, and a key that is not its own.
func ParseCA(certDER []byte, key ed25519.PrivateKey) (CA, error) {
	cert, err := x509.ParseCertificate(certDER)
	if err != nil {
		return CA{}, fmt.Errorf("parse an authority: %w", err)
	}
	pub, ok := cert.PublicKey.(ed25519.PublicKey)
	if !ok || !cert.IsCA || cert.CheckSignatureFrom(cert) != nil {
		return CA{}, fmt.Errorf("parse an authority: %q is no cluster's authority", cert.Subject.CommonName)
	}
	if key != nil && (len(key) != ed25519.PrivateKeySize || !pub.Equal(key.Public())) {
		return CA{}, fmt.Errorf("parse an authority: the key is not that of %q", cert.Subject.CommonName)
	}
	return CA{Cert: cert, Key: key}, nil
}

const caKeyPurpose = "authority key"

// SealKey seals the authority's key, for OpenCA.
func (a CA) SealKey(s SealingKey) []byte { return s.Seal(caKeyPurpose, a.Key.Seed()) }

// OpenCA puts an authority together from what SealKey sealed. Errors:
// ErrOtherKey, ErrSealed, ErrNewer.
func OpenCA(certDER, sealed []byte, s SealingKey) (CA, error) {
	seed, err := s.Open(caKeyPurpose, sealed)
	if err != nil {
		return CA{}, fmt.Errorf("open the authority's key: %w", err)
	}
	if len(seed) != ed25519.SeedSize {
		return CA{}, fmt.Errorf("open the authority's key: %w", ErrSealed)
	}
	return ParseCA(certDER, ed25519.NewKeyFromSeed(seed))
}

// Digest names a certificate: its SHA-256 as 52 characters of base32, lower
// case. That of a CA is in every token.
func Digest(certDER []byte) string {
	sum := sha256.Sum256(certDER)
	return base32Lower().EncodeToString(sum[:])
}

// base32Lower is RFC 4648 section 6 in lower case and without padding.
func base32Lower() *base32.Encoding {
	return base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)
}
