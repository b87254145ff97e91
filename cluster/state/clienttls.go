package state

import "time"

// TLSKeySpec asks for a key of the certificate for https clients.
type TLSKeySpec struct {
	// Names are what clients call the nodes; the first is the common name.
	Names []string
	// Kind is "rsa", "ec" or "ed25519".
	Kind string
}

// TLSStatus tells how the cluster serves https.
type TLSStatus struct {
	// Certificate is the cluster's; nil = it has none.
	Certificate *TLSCertificate
	// Requested is a key whose certificate has not come yet; nil = none.
	Requested *TLSRequested
	Nodes     []TLSNode
}

// TLSCertificate describes a certificate for clients.
type TLSCertificate struct {
	Names               []string
	Issuer              string
	Key                 string // its kind, in words
	Fingerprint         string // SHA-256 of the certificate, hexadecimal
	NotBefore, NotAfter time.Time
}

// TLSRequested is a key that waits for its certificate.
type TLSRequested struct {
	Names []string
	Key   string
	// CSR is the request, PEM.
	CSR []byte
}

// TLSNode tells how one node serves https.
type TLSNode struct {
	ID, Name string
	// Silent: it did not answer, and nothing is known of it.
	Silent bool
	Served ServedTLS
}

// ServedTLS is what a node serves https with.
type ServedTLS struct {
	// Addr is where it listens; empty = nowhere.
	Addr string
	// Source is "cluster" or "files"; empty = it has no certificate.
	Source string
	// Fingerprint and NotAfter are of the certificate that it serves.
	Fingerprint string
	NotAfter    time.Time
	// Error is why it does not serve https, or not with the newest
	// certificate; empty = it does.
	Error string
}
