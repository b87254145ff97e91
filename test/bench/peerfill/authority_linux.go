package peerfill

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"time"

	"github.com/mccd/mccd/cluster/wire"
)

// authority signs the nodes' certificates.
type authority struct {
	cert *x509.Certificate
	key  ed25519.PrivateKey
}

func newAuthority() (*authority, error) {
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "bench"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, pub, key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return &authority{cert, key}, err
}

func (a *authority) certificate(id string) (*tls.Certificate, error) {
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: id}, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}, a.cert, pub, a.key)
	return &tls.Certificate{Certificate: [][]byte{der, a.cert.Raw}, PrivateKey: key}, err
}

// policy takes all that the authority signed for nodes.
type policy struct {
	authority *authority
	cert      *tls.Certificate
}

// Certificate implements wire.Policy.
func (p *policy) Certificate() *tls.Certificate { return p.cert }

// Identify implements wire.Policy.
func (p *policy) Identify(certs []*x509.Certificate) (wire.Peer, error) {
	if len(certs) == 0 {
		return wire.Peer{}, errors.New("no certificate")
	}
	if err := certs[0].CheckSignatureFrom(p.authority.cert); err != nil {
		return wire.Peer{}, err
	}
	return wire.Peer{NodeID: certs[0].Subject.CommonName, Role: wire.RoleNode}, nil
}
