package wire

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The protocols of the port, as ALPN names them.
const (
	ProtocolGRPC = "h2"
	ProtocolRaft = "mccd-raft/1"
)

// Role is what the other end of a connection is to this node.
type Role uint8

// The roles. RoleNone shows no certificate; RoleExpired is a member whose
// certificate is out of date or of a former authority; RoleRemoved was one.
// RoleUnknown shows a certificate of the cluster's authority and is no node
// that this one knows: either this one lags behind, or somebody signs for
// himself.
const (
	RoleNone Role = iota
	RoleNode
	RoleExpired
	RoleRemoved
	RoleUnknown
)

// String names the role.
func (r Role) String() string {
	switch r {
	case RoleNone:
		return "none"
	case RoleNode:
		return "node"
	case RoleExpired:
		return "expired"
	case RoleRemoved:
		return "removed"
	case RoleUnknown:
		return "unknown"
	default:
		return fmt.Sprintf("role %d", uint8(r))
	}
}

// Peer is who is at the other end.
type Peer struct {
	// NodeID is empty of RoleNone.
	NodeID string
	Role   Role
	// Key is the SHA-256 of its public key (SubjectPublicKeyInfo) in
	// hexadecimal; the Port fills it in.
	Key string
	// Addr is the other end's "host:port"; the Port fills it in.
	Addr string
	// Why is told to the other end where its role does not allow what it
	// wants; empty = a text by the role.
	Why string
}

// Policy says who is who. It may change its answers at any time (then
// Port.Enforce applies them to open connections), never blocks and is called
// by many goroutines, for each handshake and each call.
type Policy interface {
	// Certificate is what this node shows; nil = none yet, and nobody gets in.
	Certificate() *tls.Certificate
	// Identify tells who shows these certificates, the leaf first; none = a
	// caller without one. An error refuses the handshake; its text is for this
	// node's log. That the other end has the leaf's key is checked by TLS,
	// after this.
	Identify(certs []*x509.Certificate) (Peer, error)
}

// Config says what a Port works with. Zero values mean the defaults in
// brackets.
type Config struct {
	// Listener takes the connections of other nodes; the Port closes it.
	Listener net.Listener
	Policy   Policy
	// HandshakeTimeout bounds a handshake on either side, and how long a
	// finished connection waits to be taken over [5s].
	HandshakeTimeout time.Duration
	// MaxHandshakes bounds the handshakes in progress; a quarter of it may be
	// of one address (of one /64) [256].
	MaxHandshakes int
	// MaxGuests bounds the connections with callers of other roles than
	// RoleNode; an eighth of it may be of one address (of one /64) [64].
	MaxGuests int
	// GuestTime is how long such a connection lasts; twice as long while a
	// call is in progress [30s].
	GuestTime time.Duration
	// Dial reaches another node [TCP]. Tests partition a cluster by it.
	Dial func(ctx context.Context, addr string) (net.Conn, error)

	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

func (c Config) withDefaults() (Config, error) {
	var errs []error
	if c.Listener == nil {
		errs = append(errs, errors.New("no Listener"))
	}
	if c.Policy == nil {
		errs = append(errs, errors.New("no Policy"))
	}
	if min(c.HandshakeTimeout, c.GuestTime) < 0 || min(c.MaxHandshakes, c.MaxGuests) < 0 {
		errs = append(errs, errors.New("negative bound"))
	}
	if c.HandshakeTimeout == 0 {
		c.HandshakeTimeout = 5 * time.Second
	}
	if c.MaxHandshakes == 0 {
		c.MaxHandshakes = 256
	}
	if c.MaxGuests == 0 {
		c.MaxGuests = 64
	}
	if c.GuestTime == 0 {
		c.GuestTime = 30 * time.Second
	}
	if c.Dial == nil {
		c.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", addr)
		}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if len(errs) > 0 {
		return Config{}, fmt.Errorf("wire: %w", errors.Join(errs...))
	}
	return c, nil
}
