package wire

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
)

// oneRecord is the most that one TLS record carries.
const oneRecord = 16 << 10

// Conn is a connection with another node whose handshake is done.
type Conn struct {
	*tls.Conn
	raw      *rawConn
	peer     Peer
	protocol string
	certs    []*x509.Certificate
	// pinned: of a cluster that this node is not in; the Policy knows nothing
	// of it.
	pinned bool
	policy Policy
	port   *Port
	// guest is the place of a caller that is no member; nil of others.
	guest *guest
	// condemned: it was closed since its role changed.
	condemned atomic.Bool
	// heard: a byte came, so the other end has taken this node's certificate.
	heard atomic.Bool
}

// Peer is who is at the other end, as of the handshake.
func (c *Conn) Peer() Peer { return c.peer }

// now asks the Policy again who is at the other end.
func (c *Conn) now() (Peer, error) {
	if c.pinned {
		return c.peer, nil
	}
	now, err := c.policy.Identify(c.certs)
	if err != nil {
		return Peer{}, err
	}
	now.Key, now.Addr = c.peer.Key, c.peer.Addr
	return now, nil
}

// denied counts a call that the caller may not make, and logs it as refused
// connections are: not more than once a minute and address.
func (c *Conn) denied(method string, who Peer, why string) {
	c.port.metrics.refused.WithLabelValues(reasonRole).Inc()
	if c.port.complain.due(caller(c.raw), reasonRole) {
		c.port.log.Warn("refused a call on the port between nodes", "addr", c.peer.Addr, "node", c.peer.NodeID,
			"role", who.Role.String(), "call", method, "error", why)
	}
}

// Protocol is what is spoken: ProtocolGRPC or ProtocolRaft.
func (c *Conn) Protocol() string { return c.protocol }

// Read implements net.Conn. In TLS 1.3 a refused client learns it from its
// first read: that error is ErrRefused.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil {
		if n == 0 && !c.heard.Load() {
			err = explain(err)
		}
		return n, err
	}
	if !c.heard.Load() {
		c.heard.Store(true)
	}
	return n, nil
}

// Write implements net.Conn. What takes several records goes out together.
func (c *Conn) Write(p []byte) (int, error) {
	if len(p) <= oneRecord {
		return c.Conn.Write(p)
	}
	c.raw.cork()
	n, err := c.Conn.Write(p)
	if ferr := c.raw.uncork(); err == nil && ferr != nil {
		return 0, ferr
	}
	return n, err
}

// cut closes without a word to the other end, and without waiting for it.
func (c *Conn) cut() { _ = c.raw.Close() }

// explain says in words what a TLS alert of the other end means.
func explain(err error) error {
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "remote error" || op.Err == nil {
		return err
	}
	switch op.Err.Error() {
	case "tls: no application protocol":
		return fmt.Errorf("the other node does not speak this protocol: compare the releases of both (%w)", err)
	case "tls: bad certificate", "tls: unknown certificate authority", "tls: expired certificate",
		"tls: revoked certificate", "tls: unknown certificate", "tls: access denied",
		"tls: unsupported certificate", "tls: certificate required":
		return fmt.Errorf("%w: it is of another cluster, or another node has its id; join with a new token", ErrRefused)
	default:
		return fmt.Errorf("the other node broke off: %w", err)
	}
}
