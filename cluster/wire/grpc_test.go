package wire

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// health is any service: its answer tells the test who called.
type health struct {
	grpc_health_v1.UnimplementedHealthServer
	callers chan Peer
}

func (h *health) Check(ctx context.Context, _ *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	p, _ := PeerFrom(ctx)
	h.callers <- p
	return &grpc_health_v1.HealthCheckResponse{}, nil
}

func (h *health) Watch(_ *grpc_health_v1.HealthCheckRequest, s grpc_health_v1.Health_WatchServer) error {
	return s.Send(&grpc_health_v1.HealthCheckResponse{})
}

// serve runs a gRPC server at the node.
func serve(t testing.TB, n *node, rules Rules) *health {
	t.Helper()
	h := &health{callers: make(chan Peer, 10)}
	s := grpc.NewServer(grpc.Creds(n.ServerCredentials()), grpc.UnaryInterceptor(rules.Unary()), grpc.StreamInterceptor(rules.Stream()))
	grpc_health_v1.RegisterHealthServer(s, h)
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(n.GRPC()) }()
	t.Cleanup(func() {
		s.Stop()
		<-ended
	})
	return h
}

// client is a gRPC client over the connections that dial gives.
func client(t testing.TB, n *node, dial func(context.Context) (net.Conn, error)) grpc_health_v1.HealthClient {
	t.Helper()
	c, err := grpc.NewClient("passthrough:///node", grpc.WithTransportCredentials(n.DialCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return dial(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return grpc_health_v1.NewHealthClient(c)
}

func TestHandlersKnowWhoCalls(t *testing.T) {
	const check, all = "/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/*"
	a := newAuthority(t)
	one, two := start(t, a, "one"), start(t, a, "two")
	h := serve(t, two, Rules{check: {RoleNode, RoleNone}, all: {RoleNode}})
	member := client(t, one, func(ctx context.Context) (net.Conn, error) {
		return one.DialNode(ctx, ProtocolGRPC, "two", two.addr())
	})
	if _, err := member.Check(within(t), &grpc_health_v1.HealthCheckRequest{}); err != nil {
		t.Fatal(err)
	}
	if p := <-h.callers; p.NodeID != "one" || p.Role != RoleNode || p.Addr == "" || p.Key == "" {
		t.Errorf("called by %+v", p)
	}
	watch := func(c grpc_health_v1.HealthClient) error {
		s, err := c.Watch(within(t), &grpc_health_v1.HealthCheckRequest{})
		if err == nil {
			_, err = s.Recv()
		}
		return err
	}
	if err := watch(member); err != nil {
		t.Errorf("a service's rule: %v", err)
	}

	stranger := client(t, one, func(ctx context.Context) (net.Conn, error) {
		c, _, err := one.DialPinned(ctx, two.addr(), func([]byte) bool { return true })
		return c, err
	})
	if _, err := stranger.Check(within(t), &grpc_health_v1.HealthCheckRequest{}); err != nil {
		t.Fatal(err)
	}
	if p := <-h.callers; p.NodeID != "" || p.Role != RoleNone || p.Key != "" {
		t.Errorf("called by %+v", p)
	}
	if err := watch(stranger); status.Code(err) != codes.PermissionDenied || !strings.Contains(err.Error(), "join with a token") {
		t.Errorf("without a certificate: %v", err)
	}
}

// What gRPC says of a caller whose certificate is refused tells why.
func TestGRPCSaysThatItWasRefused(t *testing.T) {
	a := newAuthority(t)
	one, two := start(t, a, "one"), start(t, a, "two")
	serve(t, two, Rules{})
	one.policy.show(newAuthority(t).shown(t, "one", time.Now().Add(-time.Hour), time.Now().Add(time.Hour)))
	foreign := client(t, one, func(ctx context.Context) (net.Conn, error) {
		return one.DialNode(ctx, ProtocolGRPC, "two", two.addr())
	})
	_, err := foreign.Check(within(t), &grpc_health_v1.HealthCheckRequest{})
	if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "refused this node's certificate") {
		t.Errorf("%v", err)
	}
}

func TestRules(t *testing.T) {
	const service = "/grpc.health.v1.Health/"
	a := newAuthority(t)
	one, two := start(t, a, "one"), start(t, a, "two")
	h := serve(t, two, Rules{service + "Check": {RoleExpired}})
	for _, c := range []struct {
		role Role
		code codes.Code
		text string
	}{
		{RoleExpired, codes.OK, ""},
		{RoleRemoved, codes.PermissionDenied, "removed from the cluster"},
		{RoleNode, codes.PermissionDenied, "not for a node"},
	} {
		two.policy.set("one", c.role)
		cl := client(t, one, func(ctx context.Context) (net.Conn, error) {
			return one.DialNode(ctx, ProtocolGRPC, "two", two.addr())
		})
		_, err := cl.Check(within(t), &grpc_health_v1.HealthCheckRequest{})
		if status.Code(err) != c.code || c.text != "" && !strings.Contains(err.Error(), c.text) {
			t.Errorf("%v: %v, want %v with %q", c.role, err, c.code, c.text)
		}
		if c.code == codes.OK {
			if p := <-h.callers; p.Role != c.role {
				t.Errorf("called by %+v", p)
			}
		}
		s, err := cl.Watch(within(t), &grpc_health_v1.HealthCheckRequest{})
		if err == nil {
			_, err = s.Recv()
		}
		if status.Code(err) != codes.PermissionDenied || !strings.Contains(err.Error(), "not for other nodes") {
			t.Errorf("%v: what is not listed: %v", c.role, err)
		}
	}
	for _, c := range []struct {
		peer Peer
		text string
	}{
		{Peer{Role: RoleExpired}, "renewed"},
		{Peer{Role: RoleRemoved, Why: "as the policy says"}, "as the policy says"},
	} {
		if got := c.peer.why(); !strings.Contains(got, c.text) {
			t.Errorf("%+v: %q", c.peer, got)
		}
	}
	// A call that came another way has no role at all.
	_, err := Rules{"/a/b": {RoleNone}}.Unary()(context.Background(), nil, &grpc.UnaryServerInfo{FullMethod: "/a/b"}, nil)
	if status.Code(err) != codes.PermissionDenied {
		t.Errorf("not over the port: %v", err)
	}
}

// Credentials of the port take the port's connections alone.
func TestCredentialsRefuseOtherConnections(t *testing.T) {
	n := start(t, newAuthority(t), "one")
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	if _, _, err := n.ServerCredentials().ServerHandshake(here); err == nil {
		t.Error("server: a plain connection was taken")
	}
	if _, _, err := n.DialCredentials().Clone().ClientHandshake(within(t), "x", here); err == nil {
		t.Error("client: a plain connection was taken")
	}
	if n.ServerCredentials().Info().SecurityProtocol == insecure.NewCredentials().Info().SecurityProtocol {
		t.Error("they call themselves insecure")
	}
}
