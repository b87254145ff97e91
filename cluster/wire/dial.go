package wire

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"time"
)

// DialNode connects to the node id at addr for the protocol; an empty id takes
// any member. Both sides show their certificates. With ProtocolGRPC the other
// end may be RoleUnknown: this node lags behind. Errors: ErrWrongNode,
// ErrNotMember, ErrRefused (with ProtocolGRPC only at the first Read),
// ErrNotTLS, and the network's. The caller closes the connection, a *Conn.
func (p *Port) DialNode(ctx context.Context, protocol, id, addr string) (net.Conn, error) {
	judged := p.enforced.Load()
	var peer Peer
	verify := func(state tls.ConnectionState, raw *rawConn) error {
		found, err := p.identify(state.PeerCertificates, raw)
		switch {
		case err != nil:
			return fmt.Errorf("%w (%w)", ErrNotMember, err)
		case id != "" && found.NodeID != id:
			return fmt.Errorf("%w: node %q", ErrWrongNode, found.NodeID)
		case found.Role != RoleNode && (found.Role != RoleUnknown || protocol == ProtocolRaft):
			return fmt.Errorf("%w: node %q is %s", ErrNotMember, found.NodeID, found.Role)
		}
		peer = found
		return nil
	}
	show := func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		if cert := p.cfg.Policy.Certificate(); cert != nil {
			return cert, nil
		}
		return nil, errors.New("this node has no certificate yet")
	}
	t, raw, err := p.dial(ctx, addr, protocol, show, verify)
	if err != nil {
		return nil, dialError(id, addr, err)
	}
	conn := p.newConn(t, raw, peer)
	if !p.track(conn, "out") {
		_ = raw.Close() // the port is closed
		return nil, dialError(id, addr, net.ErrClosed)
	}
	if p.enforced.Load() != judged && !p.judge(conn) {
		return nil, dialError(id, addr, ErrNotMember)
	}
	if protocol == ProtocolRaft {
		if err := p.awaitWelcome(ctx, conn); err != nil {
			conn.cut()
			return nil, dialError(id, addr, err)
		}
	}
	return conn, nil
}

// DialPinned connects, for gRPC and without a certificate of its own, to a
// node of the cluster whose authority is one for which pinned is true. It
// returns that authority (DER). Errors: ErrPin, ErrNotTLS, and the network's.
// The caller closes the connection, a *Conn.
func (p *Port) DialPinned(ctx context.Context, addr string, pinned func(certDER []byte) bool) (net.Conn, []byte, error) {
	var authority []byte
	var leaf *x509.Certificate
	verify := func(state tls.ConnectionState, _ *rawConn) error {
		ca, err := checkPinned(state.PeerCertificates, pinned, time.Now())
		if err != nil {
			return err
		}
		authority, leaf = ca.Raw, state.PeerCertificates[0]
		return nil
	}
	t, raw, err := p.dial(ctx, addr, ProtocolGRPC, nil, verify)
	if errors.Is(err, ErrPin) {
		return nil, nil, fmt.Errorf("the cluster at %s is %w", addr, err)
	}
	if err != nil {
		return nil, nil, dialError("", addr, err)
	}
	conn := p.newConn(t, raw, Peer{Role: RoleNone, Key: keyDigest(leaf), Addr: remote(raw)})
	conn.pinned = true
	if !p.track(conn, "out") {
		_ = raw.Close() // the port is closed
		return nil, nil, dialError("", addr, net.ErrClosed)
	}
	return conn, authority, nil
}

// checkPinned finds the pinned authority among what the other end shows, and
// proves that it signed the leaf.
func checkPinned(certs []*x509.Certificate, pinned func([]byte) bool, now time.Time) (*x509.Certificate, error) {
	if len(certs) == 0 {
		return nil, ErrPin
	}
	for _, ca := range certs[1:] {
		if !pinned(ca.Raw) {
			continue
		}
		roots := x509.NewCertPool()
		roots.AddCert(ca)
		_, err := certs[0].Verify(x509.VerifyOptions{Roots: roots, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
		var invalid x509.CertificateInvalidError
		if errors.As(err, &invalid) && invalid.Reason == x509.Expired {
			return nil, fmt.Errorf("the other node's certificate is valid from %s to %s, and here it is %s: compare the clocks of both nodes",
				certs[0].NotBefore.UTC().Format(time.RFC3339), certs[0].NotAfter.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
		}
		if err != nil {
			return nil, fmt.Errorf("%w (%w)", ErrPin, err)
		}
		return ca, nil
	}
	return nil, ErrPin
}

// dial does what both kinds have in common, within the time-out and ctx.
func (p *Port) dial(ctx context.Context, addr, protocol string,
	show func(*tls.CertificateRequestInfo) (*tls.Certificate, error),
	verify func(tls.ConnectionState, *rawConn) error,
) (*tls.Conn, *rawConn, error) {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.HandshakeTimeout)
	defer cancel()
	c, err := p.cfg.Dial(ctx, addr)
	if err != nil {
		return nil, nil, err
	}
	raw := newRaw(c, p.corks)
	cfg := p.tlsConfig([]string{protocol})
	// There is no host name to check: a node is named by its id, wherever it
	// is. verify takes the place of the library's check, and always runs.
	cfg.InsecureSkipVerify = true
	cfg.GetClientCertificate = show
	cfg.VerifyConnection = func(state tls.ConnectionState) error { return verify(state, raw) }
	t := tls.Client(raw, cfg)
	if err := t.HandshakeContext(ctx); err != nil {
		_ = raw.Close() // it is of no use any more
		var record tls.RecordHeaderError
		if errors.As(err, &record) {
			return nil, nil, ErrNotTLS
		}
		return nil, nil, explain(err)
	}
	if t.ConnectionState().NegotiatedProtocol != protocol {
		_ = raw.Close() // it is of no use any more
		return nil, nil, fmt.Errorf("the other end does not speak %s: compare the releases of both", protocol)
	}
	return t, raw, nil
}

// awaitWelcome reads the answer to a Raft caller.
func (p *Port) awaitWelcome(ctx context.Context, c *Conn) error {
	if err := c.SetReadDeadline(time.Now().Add(p.cfg.HandshakeTimeout)); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, c.cut)
	answer := make([]byte, 1)
	_, err := c.Read(answer)
	if !stop() {
		return ctx.Err()
	}
	if err != nil {
		return err
	}
	switch answer[0] {
	case raftWelcome:
		return c.SetReadDeadline(time.Time{})
	case raftExpired:
		return fmt.Errorf("%w: this node's certificate is out of date there, and is renewed by itself", ErrRefused)
	case raftRemoved:
		return fmt.Errorf("%w: this node was removed from the cluster", ErrRefused)
	case raftUnknown:
		return fmt.Errorf("%w: the other node does not know this one (yet)", ErrRefused)
	default:
		return fmt.Errorf("%w: this node is no member there", ErrRefused)
	}
}

func dialError(id, addr string, err error) error {
	if id == "" {
		return fmt.Errorf("dial the node at %s: %w", addr, err)
	}
	return fmt.Errorf("dial node %s at %s: %w", id, addr, err)
}

// keyDigest is Peer.Key of a certificate.
func keyDigest(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	return hex.EncodeToString(sum[:])
}
