package gateway

import (
	"crypto/tls"
	"errors"
	"sync/atomic"
)

// Credentials are what clients under TLS are served with. They are not changed
// once they are given.
type Credentials struct {
	Certificate tls.Certificate
	// TicketKeys seal the sessions that clients may resume: the first those
	// that begin, each of them those that go on. Nodes with the same keys
	// resume each other's. Empty = keys of this process alone.
	TicketKeys [][32]byte
}

// errNoCertificate fails the handshakes of a node that has none.
var errNoCertificate = errors.New("this node has no certificate for clients")

// secrets makes TLS configurations of Credentials.
type secrets struct {
	from  func() *Credentials
	http2 bool
	// last is of the latest credentials: connections that begin later share
	// it, those that are there keep theirs.
	last atomic.Pointer[secret]
}

type secret struct {
	of     *Credentials
	config *tls.Config
}

// config returns what a connection that begins now is served with.
func (s *secrets) config() *tls.Config {
	now := s.from()
	if last := s.last.Load(); last != nil && last.of == now {
		return last.config
	}
	c := &tls.Config{
		MinVersion: tls.VersionTLS12,
		// HTTP/2 lower-cases header names, which Delivery Optimization Lite
		// reads case-sensitively (docs/clients.md section 4).
		NextProtos: []string{"http/1.1"},
		// crypto/tls would seal each connection's first 128 KiB in records of a
		// segment's size; the head is a record of its own anyway.
		DynamicRecordSizingDisabled: true,
	}
	if s.http2 {
		c.NextProtos = []string{"h2", "http/1.1"}
	}
	if now == nil {
		c.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, errNoCertificate }
	} else {
		c.Certificates = []tls.Certificate{now.Certificate}
		if len(now.TicketKeys) > 0 {
			c.SetSessionTicketKeys(now.TicketKeys)
		}
	}
	s.last.Store(&secret{now, c})
	return c
}
