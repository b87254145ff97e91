package servercert

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// maxNames bounds the names of one certificate.
const maxNames = 100

// ErrName tells that something is no name for a certificate.
var ErrName = errors.New("not a name for a certificate")

// Request makes a request to a certificate authority (PKCS #10, PEM) for names:
// host names, also *.x, and addresses. The first is its common name too.
func Request(key crypto.Signer, names []string) ([]byte, error) {
	if len(names) == 0 || len(names) > maxNames {
		return nil, fmt.Errorf("%w: %d names; give 1 to %d", ErrName, len(names), maxNames)
	}
	template := &x509.CertificateRequest{}
	for _, name := range names {
		if addr, err := netip.ParseAddr(name); err == nil {
			template.IPAddresses = append(template.IPAddresses, addr.Unmap().AsSlice())
			continue
		}
		host, ok := hostName(name)
		if !ok {
			return nil, fmt.Errorf("%w: %.80q", ErrName, name)
		}
		template.DNSNames = append(template.DNSNames, host)
	}
	if len(names[0]) <= 64 { // RFC 5280 allows no longer one
		template.Subject = pkix.Name{CommonName: names[0]}
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		return nil, fmt.Errorf("make a certificate request: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), nil
}

// ParseRequest reads a request and returns the names that it asks for, and its
// public key.
func ParseRequest(text []byte) (names []string, pub crypto.PublicKey, err error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE REQUEST" {
		return nil, nil, errors.New("no certificate request")
	}
	req, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, nil, fmt.Errorf("certificate request: %w", err)
	}
	names = append(names, req.DNSNames...)
	for _, ip := range req.IPAddresses {
		names = append(names, ip.String())
	}
	return names, req.PublicKey, nil
}

// hostName returns name in lower case if it is a host name or *.x.
func hostName(name string) (string, bool) {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	labels := strings.Split(strings.TrimPrefix(name, "*."), ".")
	if len(name) > 253 {
		return "", false
	}
	for _, l := range labels {
		if l == "" || len(l) > 63 || strings.Trim(l, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" || l[0] == '-' || l[len(l)-1] == '-' {
			return "", false
		}
	}
	return name, true
}
