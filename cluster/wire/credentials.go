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
	Peer Peer
}

// AuthType implements credentials.AuthInfo.
func (AuthInfo) AuthType() string { return "mccd" }

// ServerCredentials are for the gRPC server on GRPC().
func (*Port) ServerCredentials() credentials.TransportCredentials { return done{} }

// DialCredentials are for a gRPC client whose dialer gives the connections of
// DialNode or DialPinned.
func (*Port) DialCredentials() credentials.TransportCredentials { return done{} }

// PeerFrom tells a handler who calls; false outside of the port.
func PeerFrom(ctx context.Context) (Peer, bool) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return Peer{}, false
	}
	info, ok := p.AuthInfo.(AuthInfo)
	return info.Peer, ok
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
	return conn, AuthInfo{CommonAuthInfo: level, Peer: conn.peer}, nil
}
