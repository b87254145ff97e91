package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/keepalive"

	"github.com/mccd/mccd/cluster/wire"
	clusterv1 "github.com/mccd/mccd/proto/mccd/cluster/v1"
)

// callers holds one connection per node for the control side.
type callers struct {
	c *Cluster

	mu     sync.Mutex
	conns  map[callee]*grpc.ClientConn
	closed bool
}

// callee is a node at an address; an id of "" is whichever node answers.
type callee struct{ id, addr string }

func newCallers(c *Cluster) *callers {
	return &callers{c: c, conns: make(map[callee]*grpc.ClientConn)}
}

// to returns the client for the node id at addr.
func (s *callers) to(id, addr string) (clusterv1.ClusterClient, error) {
	conn, err := s.conn(id, addr)
	if err != nil {
		return nil, err
	}
	return clusterv1.NewClusterClient(conn), nil
}

func (s *callers) conn(id, addr string) (*grpc.ClientConn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errors.New("this node is changing its cluster, or stopping")
	}
	key := callee{id, addr}
	if conn, ok := s.conns[key]; ok {
		return conn, nil
	}
	for old, conn := range s.conns {
		if old.id == id && id != "" || len(s.conns) > 4*maxNodes { // it has moved
			delete(s.conns, old)
			_ = conn.Close()
		}
	}
	conn, err := dial(s.c.port, func(ctx context.Context) (net.Conn, error) {
		return s.c.port.DialNode(ctx, wire.ProtocolGRPC, id, addr)
	})
	if err != nil {
		return nil, err
	}
	s.conns[key] = conn
	return conn, nil
}

// reached returns the client for the node id once it is connected: what fails
// before then was certainly not sent.
func (m *membership) reached(ctx context.Context, id string) (clusterv1.ClusterClient, error) {
	addr, ok := m.where(id)
	if !ok {
		return nil, errNoAddress
	}
	conn, err := m.calls.conn(id, addr)
	if err != nil {
		return nil, err
	}
	for {
		now := conn.GetState()
		switch now {
		case connectivity.Ready:
			return clusterv1.NewClusterClient(conn), nil
		case connectivity.Shutdown, connectivity.TransientFailure:
			return nil, errors.New("it does not answer")
		case connectivity.Idle:
			conn.Connect()
		case connectivity.Connecting:
		}
		if !conn.WaitForStateChange(ctx, now) {
			return nil, errors.New("it does not answer")
		}
	}
}

// errNoAddress tells that this node does not know where another is.
var errNoAddress = errors.New("no address is known")

// close ends all calls.
func (s *callers) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, conn := range s.conns {
		_ = conn.Close()
	}
}

// dial returns a gRPC connection over what open gives.
func dial(port *wire.Port, open func(context.Context) (net.Conn, error)) (*grpc.ClientConn, error) {
	conn, err := grpc.NewClient("passthrough:///node",
		grpc.WithTransportCredentials(port.DialCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return open(ctx) }),
		grpc.WithNoProxy(), grpc.WithDisableServiceConfig(), grpc.WithDisableRetry(),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxControlMessage)),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second},
			MinConnectTimeout: 2 * time.Second,
		}),
		// Without it a connection that a cut network made silent is used on for
		// minutes after the network is whole: TCP repeats itself ever more rarely.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 2 * time.Second}),
	)
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	return conn, nil
}

const (
	// maxControlMessage bounds a message of the control side: a state.
	maxControlMessage = 64 << 20
	// maxNodes bounds the nodes of a cluster.
	maxNodes = 1024
)

// node returns the client for the node id where it is now.
func (m *membership) node(id string) (clusterv1.ClusterClient, error) {
	addr, ok := m.where(id)
	if !ok {
		return nil, fmt.Errorf("node %s: %w", id, errNoAddress)
	}
	return m.calls.to(id, addr)
}
