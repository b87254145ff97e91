package servercert

import (
	"crypto"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// maxChain bounds the certificates of a chain.
const maxChain = 10

// ErrChain tells that something is no certificate that can be served.
var ErrChain = errors.New("certificate cannot be used")

// Chain is a certificate and those that vouch for it, in order: the first is of
// the server, each one is signed by the next.
type Chain []*x509.Certificate

// ParseChain reads the certificates of a PEM file, in the order in which they
// are to be sent. Keys in the same file are skipped.
func ParseChain(text []byte) (Chain, error) {
	var chain Chain
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%w: number %d of the file cannot be read: %w", ErrChain, len(chain)+1, err)
		}
		if chain = append(chain, cert); len(chain) > maxChain {
			return nil, fmt.Errorf("%w: the file holds more than %d; give the server's and those that vouch for it alone", ErrChain, maxChain)
		}
	}
	if len(chain) == 0 {
		return nil, fmt.Errorf("%w: the file holds no PEM block of one (BEGIN CERTIFICATE)", ErrChain)
	}
	return chain, chain.checkOrder()
}

// checkOrder sees to it that each certificate is signed by the next.
func (c Chain) checkOrder() error {
	for i, cert := range c[:len(c)-1] {
		next := c[i+1]
		if slices.Equal(cert.Raw, next.Raw) {
			return fmt.Errorf("%w: number %d and %d of the file are the same", ErrChain, i+1, i+2)
		}
		if err := cert.CheckSignatureFrom(next); err != nil {
			return fmt.Errorf("%w: number %d of the file (%s) is not signed by number %d (%s); begin with the server's own, then the one that signed it, and so on",
				ErrChain, i+1, title(cert), i+2, title(next))
		}
	}
	return nil
}

// title names a certificate for people.
func title(c *x509.Certificate) string {
	switch {
	case c.Subject.CommonName != "":
		return c.Subject.CommonName
	case len(c.DNSNames) > 0:
		return c.DNSNames[0]
	default:
		return c.Subject.String()
	}
}

// Names returns the host names and addresses of the server's certificate.
func (c Chain) Names() []string {
	names := slices.Clone(c[0].DNSNames)
	for _, ip := range c[0].IPAddresses {
		names = append(names, ip.String())
	}
	return names
}

// Issuer names who signed the server's certificate.
func (c Chain) Issuer() string {
	if name := c[0].Issuer.CommonName; name != "" {
		return name
	}
	return c[0].Issuer.String()
}

// Fingerprint is the SHA-256 of the server's certificate, in hexadecimal.
func (c Chain) Fingerprint() string {
	sum := sha256.Sum256(c[0].Raw)
	return hex.EncodeToString(sum[:])
}

// Matches reports whether the certificate is of key.
func (c Chain) Matches(key crypto.PublicKey) bool { return same(c[0].PublicKey, key) }

// Covers returns those of names that the certificate is not good for.
func (c Chain) Covers(names []string) (missing []string) {
	own := c.Names()
	for _, name := range names {
		if !slices.ContainsFunc(own, func(o string) bool { return strings.EqualFold(o, name) }) && c[0].VerifyHostname(name) != nil {
			missing = append(missing, name)
		}
	}
	return missing
}

// Check refuses what no client would ever take: a certificate that is not of
// key, without names, or not for servers.
func (c Chain) Check(key crypto.PublicKey) error {
	leaf := c[0]
	switch {
	case !c.Matches(key):
		return fmt.Errorf("%w: it is not of this private key", ErrChain)
	case len(c.Names()) == 0:
		return fmt.Errorf("%w: it has no subject alternative name, and clients look at nothing else", ErrChain)
	case len(leaf.ExtKeyUsage) > 0 && !slices.ContainsFunc(leaf.ExtKeyUsage, forServers):
		return fmt.Errorf("%w: it is not for servers (extended key usage)", ErrChain)
	default:
		return nil
	}
}

// CheckTime refuses a chain that is over, or has not begun, at now.
func (c Chain) CheckTime(now time.Time) error {
	switch leaf := c[0]; {
	case now.After(leaf.NotAfter):
		return fmt.Errorf("%w: it expired on %s", ErrChain, leaf.NotAfter.UTC().Format(time.RFC1123))
	case now.Before(leaf.NotBefore):
		return fmt.Errorf("%w: it is good from %s on only; is this node's clock right?", ErrChain, leaf.NotBefore.UTC().Format(time.RFC1123))
	}
	for i, cert := range c[1:] {
		if now.After(cert.NotAfter) {
			return fmt.Errorf("%w: number %d of the file (%s) expired on %s", ErrChain, i+2, title(cert), cert.NotAfter.UTC().Format(time.RFC1123))
		}
	}
	return nil
}

func forServers(u x509.ExtKeyUsage) bool {
	return u == x509.ExtKeyUsageServerAuth || u == x509.ExtKeyUsageAny
}

// PEM returns the chain as a file.
func (c Chain) PEM() []byte {
	var out []byte
	for _, cert := range c {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})...)
	}
	return out
}

// Certificate returns what a TLS server takes.
func (c Chain) Certificate(key crypto.Signer) tls.Certificate {
	out := tls.Certificate{PrivateKey: key, Leaf: c[0]}
	for _, cert := range c {
		out.Certificate = append(out.Certificate, cert.Raw)
	}
	return out
}
