package peer

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	peerv1 "github.com/mccd/mccd/proto/mccd/peer/v1"
	"github.com/mccd/mccd/test/faultorigin"
)

// certificate returns one of name, signed by itself.
func certificate(t *testing.T, name string) tls.Certificate {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, public, private)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}
}

// shaken are credentials for connections whose handshake Dial has done.
type shaken struct {
	credentials.TransportCredentials
}

var errNoHandshake = errors.New("connection without a handshake")

// ClientHandshake implements credentials.TransportCredentials.
func (shaken) ClientHandshake(_ context.Context, _ string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, ok := raw.(*tls.Conn)
	if !ok {
		return nil, nil, errNoHandshake
	}
	return conn, credentials.TLSInfo{State: conn.ConnectionState()}, nil
}

// shared makes the nodes' services part of servers that the test owns, with
// TLS, together with a service of another's.
func shared(t *testing.T, servers map[string]*grpc.Server) func(n *node, cfg *Config) {
	return func(n *node, cfg *Config) {
		cert := certificate(t, n.id)
		server := grpc.NewServer(append(ServerOptions(), grpc.Creds(credentials.NewServerTLSFromCert(&cert)))...)
		healthv1.RegisterHealthServer(server, health.NewServer())
		l := cfg.Listener
		cfg.Listener, cfg.Registrar = nil, server
		dial := cfg.Dial
		cfg.Dial = func(ctx context.Context, node, addr string) (net.Conn, error) {
			raw, err := dial(ctx, node, addr)
			if err != nil {
				return nil, err
			}
			conn := tls.Client(raw, &tls.Config{NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS13, InsecureSkipVerify: true,
				VerifyConnection: func(s tls.ConnectionState) error { return s.PeerCertificates[0].VerifyHostname(node) }})
			if err := conn.HandshakeContext(ctx); err != nil {
				_ = raw.Close()
				return nil, err
			}
			return conn, nil
		}
		cfg.ClientCredentials = shaken{credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS13})}
		servers[n.id] = server
		n.serve = func() {
			served := make(chan error, 1)
			t.Cleanup(func() { // after the Filler's end: clean-ups run last first
				server.Stop()
				<-served
			})
			go func() { served <- server.Serve(l) }()
		}
	}
}

// The fill works as one service of a server of another's, over TLS, and leaves
// that server as it is when it ends.
func TestSharedServer(t *testing.T) {
	servers := make(map[string]*grpc.Server)
	c := newCluster(t, 2, shared(t, servers))
	const size = 9 << 20
	path := c.path(1)
	c.origin.Add(faultorigin.Object{Path: path, Size: size})
	ctx := within(t, 60*time.Second)
	for i := range int64(9) {
		if _, err := c.nodes[0].read(ctx, c.request(path, piece(i)), "1"); err != nil {
			t.Fatal(err)
		}
	}
	if got := c.origin.Ledger().MaxTimes(path); got != 1 {
		t.Errorf("a byte was fetched %d times", got)
	}
	k, err := c.nodes[0].links.to(c.nodes[0].View().Node(1))
	if err != nil {
		t.Fatal(err)
	}
	// A message beyond what a fill sends, by the client's and the server's codec.
	long := string(make([]byte, 2<<20))
	_, err = healthv1.NewHealthClient(k.lanes[0].conn).Check(ctx, &healthv1.HealthCheckRequest{Service: long})
	if status.Code(err) != codes.NotFound {
		t.Errorf("another service on the server: %v", err)
	}
	conn, err := grpc.NewClient(c.nodes[1].addr, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{InsecureSkipVerify: true})))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c.nodes[1].stop()
	// Calls that come later are refused; the other service goes on.
	if _, err := peerv1.NewPeerClient(conn).Lookup(ctx, &peerv1.LookupRequest{}); status.Code(err) != codes.Unavailable {
		t.Errorf("a call after the end: %v", err)
	}
	if _, err := healthv1.NewHealthClient(conn).Check(ctx, &healthv1.HealthCheckRequest{}); err != nil {
		t.Errorf("the other service after the fill's end: %v", err)
	}
}

// Close waits for the calls of other nodes, and ends them.
func TestCloseAwaitsCalls(t *testing.T) {
	servers := make(map[string]*grpc.Server)
	c := newCluster(t, 2, shared(t, servers))
	path := c.path(1)
	c.origin.Add(faultorigin.Object{Path: path, Size: 1 << 20})
	gate := faultorigin.NewGate()
	c.origin.Script(path, faultorigin.Behaviour{Gate: gate})
	ctx, cancel := context.WithCancel(within(t, 60*time.Second))
	read := make(chan error, 1)
	go func() {
		_, err := c.nodes[0].read(ctx, c.request(path, piece(0)), "1")
		read <- err
	}()
	eventually(t, "the owner serves the call", func() bool { return c.nodes[1].admitted.busy() })
	c.nodes[1].Close()
	if c.nodes[1].admitted.busy() {
		t.Error("a call is still served after Close")
	}
	gate.Open()
	cancel()
	<-read
}
