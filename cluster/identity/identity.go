package identity

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
)

// Identity is what makes a node a node of its cluster. Its slices are not
// modified once it is in use.
type Identity struct {
	ClusterID, NodeID string
	Key               NodeKey
	// Cert is the node's certificate, CAs those that the cluster trusts, the
	// one that signs first; all DER.
	Cert []byte
	CAs  [][]byte
	// Sealing opens what the replicated state holds sealed.
	Sealing SealingKey
}

// Validate reports everything that is wrong with it, dates excepted: the key
// is the certificate's, that names this node and cluster, and the authorities
// can be read. That one of them signed it is not asked: after a rotation the
// former certificate is good for renewing itself.
func (i Identity) Validate() error {
	var errs []error
	leaf, err := x509.ParseCertificate(i.Cert)
	if err != nil {
		errs = append(errs, fmt.Errorf("the certificate: %w", err))
	} else {
		cluster, node, err := NodeOf(leaf)
		if err != nil || cluster != i.ClusterID || node != i.NodeID {
			errs = append(errs, fmt.Errorf("the certificate is not of node %s of cluster %s", i.NodeID, i.ClusterID))
		}
		if i.Key.IsZero() || KeyDigest(leaf) != i.Key.Digest() {
			errs = append(errs, errors.New("the certificate is not of this node's key"))
		}
	}
	if len(i.CAs) == 0 {
		errs = append(errs, errors.New("no authority is trusted"))
	}
	for _, der := range i.CAs {
		if _, err := ParseCA(der, nil); err != nil {
			errs = append(errs, err)
		}
	}
	if i.Sealing.IsZero() {
		errs = append(errs, errors.New("no sealing key"))
	}
	return errors.Join(errs...)
}

// TLSCertificate is what the node shows to others: its certificate and the
// authority that signed it, so that a joining node can pin that by its digest.
// Of an Identity that is not valid it is empty.
func (i Identity) TLSCertificate() tls.Certificate {
	leaf, err := x509.ParseCertificate(i.Cert)
	if err != nil || i.Key.IsZero() {
		return tls.Certificate{}
	}
	shown := tls.Certificate{Certificate: [][]byte{i.Cert}, PrivateKey: i.Key.Signer(), Leaf: leaf}
	for _, der := range i.CAs {
		if ca, err := ParseCA(der, nil); err == nil && bytes.Equal(ca.Cert.RawSubject, leaf.RawIssuer) && leaf.CheckSignatureFrom(ca.Cert) == nil {
			shown.Certificate = append(shown.Certificate, der)
			break
		}
	}
	return shown
}
