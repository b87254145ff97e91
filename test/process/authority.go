package process

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"
)

// Authority is a certificate authority for tests: a root, and an intermediate
// that signs.
type Authority struct {
	root, between *x509.Certificate
	key           crypto.Signer // of between
}

// NewAuthority makes one.
func NewAuthority() (*Authority, error) {
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	a := &Authority{key: key}
	if a.root, err = sign(ca("Test Root"), nil, rootKey.Public(), rootKey); err != nil {
		return nil, err
	}
	a.between, err = sign(ca("Test Intermediate"), a.root, key.Public(), rootKey)
	return a, err
}

func ca(name string) *x509.Certificate {
	return &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(10 * 365 * 24 * time.Hour),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, BasicConstraintsValid: true, IsCA: true,
	}
}

// sign makes a certificate of template for pub; a nil parent signs itself.
func sign(template, parent *x509.Certificate, pub crypto.PublicKey, by crypto.Signer) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, pub, by)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// Sign gives what a request (PEM) asks for, good until end: the certificate and
// the intermediate's, PEM.
func (a *Authority) Sign(csr []byte, end time.Time) ([]byte, error) {
	block, _ := pem.Decode(csr)
	if block == nil {
		return nil, errors.New("no request")
	}
	req, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, err
	}
	if err := req.CheckSignature(); err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	return a.sign(&x509.Certificate{Subject: req.Subject, DNSNames: req.DNSNames, IPAddresses: req.IPAddresses}, req.PublicKey, end)
}

// Issue makes a key and a certificate for names (also addresses), good until
// end: the chain and the key, PEM.
func (a *Authority) Issue(end time.Time, names ...string) (chain, key []byte, err error) {
	template := &x509.Certificate{Subject: pkix.Name{CommonName: names[0]}}
	for _, name := range names {
		if addr, err := netip.ParseAddr(name); err == nil {
			template.IPAddresses = append(template.IPAddresses, net.IP(addr.AsSlice()))
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		return nil, nil, err
	}
	chain, err = a.sign(template, k.Public(), end)
	return chain, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), err
}

func (a *Authority) sign(template *x509.Certificate, pub crypto.PublicKey, end time.Time) ([]byte, error) {
	template.NotBefore, template.NotAfter = end.Add(-400*24*time.Hour), end
	if now := time.Now().Add(-time.Hour); end.After(now) {
		template.NotBefore = now
	}
	template.KeyUsage, template.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	leaf, err := sign(template, a.between, pub, a.key)
	if err != nil {
		return nil, err
	}
	return append(certificatePEM(leaf), certificatePEM(a.between)...), nil
}

func certificatePEM(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}

// Pool trusts the root alone.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.root)
	return pool
}

// WriteRoot writes the root for programs that read a file (PEM) into dir, and
// returns the file's name.
func (a *Authority) WriteRoot(dir string) (string, error) {
	name := filepath.Join(dir, "root.pem")
	return name, os.WriteFile(name, certificatePEM(a.root), 0o644)
}
