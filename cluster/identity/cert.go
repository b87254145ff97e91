package identity

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"
)

// Sign certifies that pub is the key of the node, for both ends of a
// connection, from a day before now until life after it (never outside of the
// authority's own dates).
func (a CA) Sign(pub ed25519.PublicKey, clusterID, nodeID string, now time.Time, life time.Duration) (der []byte, err error) {
	switch {
	case a.Cert == nil || a.Key == nil:
		return nil, errors.New("sign a certificate: the authority's key is not here")
	case len(pub) != ed25519.PublicKeySize:
		return nil, errors.New("sign a certificate: not an Ed25519 key")
	case !validID(clusterID) || !validID(nodeID):
		return nil, fmt.Errorf("sign a certificate: %q or %q is no id", clusterID, nodeID)
	case life <= 0:
		return nil, errors.New("sign a certificate: it would never be valid")
	case now.After(a.Cert.NotAfter):
		return nil, errors.New("sign a certificate: the cluster's authority has expired: run mccd rotate ca")
	}
	until := now.Add(life)
	if until.After(a.Cert.NotAfter) {
		until = a.Cert.NotAfter
	}
	from := now.Add(-backdate)
	if from.Before(a.Cert.NotBefore) {
		from = a.Cert.NotBefore
	}
	der, err = x509.CreateCertificate(rand.Reader, &x509.Certificate{
		// No SerialNumber: the library takes a random one of 20 bytes.
		Subject:               pkix.Name{CommonName: nodeID},
		URIs:                  []*url.URL{nodeURI(clusterID, nodeID)},
		NotBefore:             from,
		NotAfter:              until,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}, a.Cert, pub, a.Key)
	if err != nil {
		return nil, fmt.Errorf("sign a certificate: %w", err)
	}
	return der, nil
}

// NodeOf tells which node of which cluster the certificate names. It proves
// nothing: CheckPeer does. Error: ErrNotNode.
func NodeOf(cert *x509.Certificate) (clusterID, nodeID string, err error) {
	if cert == nil || len(cert.URIs) != 1 || len(cert.DNSNames)+len(cert.IPAddresses)+len(cert.EmailAddresses) > 0 {
		return "", "", ErrNotNode
	}
	u := cert.URIs[0]
	const prefix = "/node/"
	if len(u.Path) <= len(prefix) || !validID(u.Host) || !validID(u.Path[len(prefix):]) {
		return "", "", ErrNotNode
	}
	clusterID, nodeID = u.Host, u.Path[len(prefix):]
	// One spelling only: no user, port, query, fragment, escape.
	if *u != *nodeURI(clusterID, nodeID) {
		return "", "", ErrNotNode
	}
	return clusterID, nodeID, nil
}

// CheckPeer tells which node of the cluster the certificate proves its holder
// to be, signed by any of cas (DER). expired: all is well but the date, and
// nodeID is told. Errors: ErrForeign, ErrNotNode, ErrOtherCluster, ErrClock.
// The TLS handshake proves that the holder has the key.
func CheckPeer(leaf *x509.Certificate, cas [][]byte, clusterID string, now time.Time) (nodeID string, expired bool, err error) {
	if leaf == nil {
		return "", false, ErrNotNode
	}
	roots := x509.NewCertPool()
	for _, der := range cas {
		ca, err := ParseCA(der, nil)
		if err != nil {
			return "", false, err
		}
		roots.AddCert(ca.Cert)
	}
	// Everything is checked as of a moment in which the certificate was valid,
	// so that its dates alone are told apart.
	at := now
	if at.Before(leaf.NotBefore) {
		at = leaf.NotBefore
	}
	if at.After(leaf.NotAfter) {
		at = leaf.NotAfter
	}
	_, err = leaf.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	if err != nil {
		return "", false, fmt.Errorf("%w (%w)", ErrForeign, err)
	}
	_, isEd25519 := leaf.PublicKey.(ed25519.PublicKey)
	if !isEd25519 || leaf.IsCA || !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageClientAuth) ||
		!slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageServerAuth) {
		return "", false, ErrNotNode
	}
	cluster, node, err := NodeOf(leaf)
	if err != nil {
		return "", false, err
	}
	if cluster != clusterID {
		return "", false, fmt.Errorf("%w: %s", ErrOtherCluster, cluster)
	}
	if now.Before(leaf.NotBefore) {
		return "", false, fmt.Errorf("%w: node %s, from %s, and here it is %s", ErrClock, node,
			leaf.NotBefore.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	return node, now.After(leaf.NotAfter), nil
}

func nodeURI(clusterID, nodeID string) *url.URL {
	return &url.URL{Scheme: "mccd", Host: clusterID, Path: "/node/" + nodeID}
}

// validID holds an id to what has one spelling in a URI. That it is 32
// hexadecimal digits is the State's business.
func validID(id string) bool {
	if len(id) == 0 || len(id) > 64 {
		return false
	}
	for _, c := range []byte(id) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}
