package wire

import (
	"context"
	"errors"
	"net"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
)

// AuthInfo is what gRPC knows of a connection of a Port.
type AuthInfo struct {
	credentials.CommonAuthInfo
	// Peer is who is at the other end, as of the handshake.
	Peer Peer
	conn *Conn
}

// AuthType implements credentials.AuthInfo.
func (AuthInfo) AuthType() string { return "mccd" }

// ServerCredentials are for the gRPC server on GRPC().
func (*Port) ServerCredentials() credentials.TransportCredentials { return done{} }

// DialCredentials are for a gRPC client whose dialer gives the connections of
// DialNode or DialPinned.
func (*Port) DialCredentials() credentials.TransportCredentials { return done{} }

// PeerFrom tells a handler who calls, as the Policy says now; false outside of
// the port, and where the Policy refuses the caller by now.
func PeerFrom(ctx context.Context) (Peer, bool) {
	conn, ok := connFrom(ctx)
	if !ok {
		return Peer{}, false
	}
	now, err := conn.now()
	return now, err == nil
}

func connFrom(ctx context.Context) (*Conn, bool) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nil, false
	}
	info, ok := p.AuthInfo.(AuthInfo)
	return info.conn, ok && info.conn != nil
}

// done are credentials of connections whose handshake is done; any other
// connection is refused.
type done struct{}

func (done) ServerHandshake(c net.Conn) (net.Conn, credentials.AuthInfo, error) { return shaken(c) }

func (done) ClientHandshake(_ context.Context, _ string, c net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return shaken(c)
}

func (done) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "tls"}
}

func (d done) Clone() credentials.TransportCredentials { return d }

// OverrideServerName is deprecated in gRPC and means nothing here.
func (done) OverrideServerName(string) error { return nil }

func shaken(c net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, ok := c.(*Conn)
	if !ok {
		return nil, nil, errors.New("the connection is not of the port between nodes")
	}
	level := credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity}
	return conn, AuthInfo{CommonAuthInfo: level, Peer: conn.peer, conn: conn}, nil
}
