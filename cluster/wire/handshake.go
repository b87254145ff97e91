package wire

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"time"
)

// The answer to a Raft caller: one byte, so that a caller that is turned away
// learns it while it dials and not from a broken stream.
const (
	raftWelcome = byte(iota + 1)
	raftNotNode
	raftExpired
	raftRemoved
	raftUnknown
)

// take brings one accepted connection to its server, or closes it.
func (p *Port) take(ctx context.Context, c net.Conn, e *entry) {
	raw := newRaw(c, p.corks)
	conn, reason, err := p.shake(ctx, raw)
	// Out of the gate first: whoever takes it over has it alone.
	if p.gate.leave(e) {
		reason, err = reasonCrowded, errors.New("it made room for others")
	}
	if err == nil {
		p.metrics.accepted.WithLabelValues(conn.protocol, conn.peer.Role.String()).Inc()
		if p.handOver(ctx, conn) {
			return
		}
		reason, err = reasonUntaken, errors.New("nobody here takes it over")
	}
	_ = raw.Close() // it is of no use any more
	p.refuse(ctx, raw, reason, err)
}

// handOver waits, with as many others as may shake hands at a time, until the
// protocol's server takes the connection.
func (p *Port) handOver(ctx context.Context, conn *Conn) bool {
	select {
	case p.waiting <- struct{}{}:
		defer func() { <-p.waiting }()
	default:
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, p.cfg.HandshakeTimeout)
	defer cancel()
	if conn.protocol == ProtocolRaft {
		return p.raft.offer(ctx, conn)
	}
	return p.grpc.offer(ctx, conn)
}

// shake does everything up to the hand-over within the time-out.
func (p *Port) shake(ctx context.Context, raw *rawConn) (*Conn, string, error) {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.HandshakeTimeout)
	defer cancel()
	if err := raw.SetDeadline(time.Now().Add(p.cfg.HandshakeTimeout)); err != nil {
		return nil, reasonClosed, err
	}
	first, err := raw.peek()
	if err != nil {
		return nil, broken(err), err
	}
	if first[0] != tlsHandshake {
		turnAway(raw.Conn, first)
		return nil, reasonPlain, errors.New("it does not speak TLS")
	}
	judged := p.enforced.Load()
	var peer Peer
	var denied error
	cfg := p.server.Clone()
	cfg.VerifyConnection = func(state tls.ConnectionState) error {
		peer, denied = p.identify(state.PeerCertificates, raw)
		return denied
	}
	t := tls.Server(raw, cfg)
	if err := t.HandshakeContext(ctx); err != nil {
		if denied != nil {
			lingerOver(raw.Conn) // the alert says it
			return nil, reasonCertificate, denied
		}
		return nil, broken(err), err
	}
	conn := p.newConn(t, raw, peer)
	p.lodge(conn)
	if !p.track(conn, "in") {
		p.release(conn)
		return nil, reasonUntaken, net.ErrClosed
	}
	// The Policy may have changed between its answer and the books.
	if p.enforced.Load() != judged && !p.judge(conn) {
		return nil, reasonCertificate, errors.New("who is there counts otherwise by now")
	}
	if reason, err := p.greet(conn); err != nil {
		return nil, reason, err
	}
	if err := raw.SetDeadline(time.Time{}); err != nil {
		return nil, reasonClosed, err
	}
	return conn, "", nil
}

// identify asks the Policy and completes its answer.
func (p *Port) identify(certs []*x509.Certificate, c net.Conn) (Peer, error) {
	peer, err := p.cfg.Policy.Identify(certs)
	if err != nil {
		return Peer{}, &deniedError{err: err, claims: claimed(certs)}
	}
	peer.Addr = remote(c)
	if len(certs) > 0 {
		peer.Key = keyDigest(certs[0])
	}
	return peer, nil
}

// greet sees to it that the protocol is one for this role.
func (p *Port) greet(c *Conn) (string, error) {
	switch c.protocol {
	case ProtocolGRPC:
		return "", nil
	case ProtocolRaft:
	default:
		return reasonProtocol, errors.New("it names no protocol of this port")
	}
	answer := raftNotNode
	switch c.peer.Role {
	case RoleNode:
		answer = raftWelcome
	case RoleExpired:
		answer = raftExpired
	case RoleRemoved:
		answer = raftRemoved
	case RoleUnknown:
		answer = raftUnknown
	default:
	}
	if _, err := c.Write([]byte{answer}); err != nil {
		return reasonClosed, err
	}
	if answer != raftWelcome {
		return reasonRole, errors.New("only members take part in Raft")
	}
	return "", nil
}

// refuse counts and tells, once a minute for each address and reason.
func (p *Port) refuse(ctx context.Context, raw *rawConn, reason string, err error) {
	if ctx.Err() != nil {
		return // this node stops
	}
	p.metrics.refused.WithLabelValues(reason).Inc()
	if reason == reasonClosed || !p.complain.due(caller(raw), reason) {
		return
	}
	attrs := []any{"addr", remote(raw), "reason", reason, "error", err}
	var denied *deniedError
	if errors.As(err, &denied) {
		attrs = append(attrs, "claims to be", denied.claims)
	}
	p.log.Warn("refused a connection to the port between nodes", attrs...)
}

// broken tells why a handshake broke.
func broken(err error) string {
	var op *net.OpError
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return reasonTimeout
	case errors.As(err, &op) && op.Op == "remote error":
		return reasonTLS
	case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed), errors.As(err, &op):
		return reasonClosed
	default:
		return reasonTLS
	}
}

// deniedError is the Policy's refusal with what the caller claims to be.
type deniedError struct {
	err    error
	claims string
}

func (d *deniedError) Error() string { return d.err.Error() }
func (d *deniedError) Unwrap() error { return d.err }

// claimed is the name in a certificate that proves nothing; bounded, for logs.
func claimed(certs []*x509.Certificate) string {
	const most = 120
	if len(certs) == 0 {
		return "nobody"
	}
	name := certs[0].Subject.CommonName
	if len(certs[0].URIs) > 0 {
		name = certs[0].URIs[0].String()
	}
	return name[:min(len(name), most)]
}
