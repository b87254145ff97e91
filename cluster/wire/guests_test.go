package wire

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// stranger connects to n without a certificate.
func stranger(t testing.TB, from, n *node) *Conn {
	t.Helper()
	c, _, err := from.DialPinned(within(t), n.addr(), func([]byte) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.(*Conn)
}

// inbound returns what n has at the other end of c.
func inbound(t testing.TB, n *node, c net.Conn) (found *Conn) {
	t.Helper()
	await(t, func() bool {
		n.mu.Lock()
		defer n.mu.Unlock()
		for o := range n.open {
			if o.peer.Addr == c.LocalAddr().String() {
				found = o
			}
		}
		return found != nil
	}, "it is not in the books")
	return found
}

func TestGuestsMakeRoom(t *testing.T) {
	a := newAuthority(t)
	one := start(t, a, "one", func(c *Config) { c.MaxGuests = 16 }) // two of one address
	two := start(t, a, "two")
	echo(t, one)
	member, err := two.DialNode(within(t), ProtocolGRPC, "one", one.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer member.Close()
	busy, idle := stranger(t, two, one), (*Conn)(nil)
	done := inbound(t, one, busy).call()
	idle = stranger(t, two, one)
	inbound(t, one, idle)
	third := stranger(t, two, one)
	ended(t, idle)
	for _, c := range []net.Conn{busy, third, member} {
		if _, err := c.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(make([]byte, 1)); err != nil {
			t.Errorf("closed for a newcomer: %v", err)
		}
	}
	if got := testutil.ToFloat64(one.metrics.refused.WithLabelValues(reasonCrowded)); got != 1 {
		t.Errorf("%v made room", got)
	}
	done()
	_ = busy.Close()
	_ = third.Close()
	await(t, func() bool {
		one.guests.mu.Lock()
		defer one.guests.mu.Unlock()
		return one.guests.count == 0
	}, "guests that went away have their places")
}

func TestGuestsGo(t *testing.T) {
	a := newAuthority(t)
	one := start(t, a, "one", func(c *Config) { c.GuestTime = time.Hour })
	two := start(t, a, "two")
	echo(t, one)
	busy, idle := stranger(t, two, one), stranger(t, two, one)
	busyIn, idleIn := inbound(t, one, busy), inbound(t, one, idle)
	defer busyIn.call()()
	busyIn.guest.idle.Reset(0)
	idleIn.guest.idle.Reset(0)
	ended(t, idle)
	if _, err := busy.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := busy.Read(make([]byte, 1)); err != nil {
		t.Errorf("closed during a call: %v", err)
	}
	busyIn.guest.hard.Reset(0)
	ended(t, busy)
	one.refused(t, reasonStayed, 2)
}

// A refused caller is answered before its message comes.
func TestTapReadsNothing(t *testing.T) {
	a := newAuthority(t)
	one, two := start(t, a, "one"), start(t, a, "two")
	rules := Rules{"/grpc.health.v1.Health/Check": {RoleNode}}
	s := grpc.NewServer(grpc.Creds(two.ServerCredentials()), grpc.InTapHandle(rules.Tap()),
		grpc.UnaryInterceptor(rules.Unary()), grpc.StreamInterceptor(rules.Stream()))
	h := &health{callers: make(chan Peer, 1)}
	grpc_health_v1.RegisterHealthServer(s, h)
	served := make(chan error, 1)
	go func() { served <- s.Serve(two.GRPC()) }()
	defer func() {
		s.Stop()
		<-served
	}()
	cc, err := grpc.NewClient("passthrough:///node", grpc.WithTransportCredentials(one.DialCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			c, _, err := one.DialPinned(ctx, two.addr(), func([]byte) bool { return true })
			return c, err
		}))
	if err != nil {
		t.Fatal(err)
	}
	defer cc.Close()
	// It sends its headers and no message, and waits for the answer.
	stream, err := cc.NewStream(within(t), &grpc.StreamDesc{ClientStreams: true}, "/grpc.health.v1.Health/Check")
	if err == nil {
		err = stream.RecvMsg(new(grpc_health_v1.HealthCheckResponse))
	}
	if status.Code(err) != codes.PermissionDenied || !strings.Contains(err.Error(), "join with a token") {
		t.Errorf("got %v", err)
	}
	member := client(t, one, func(ctx context.Context) (net.Conn, error) {
		return one.DialNode(ctx, ProtocolGRPC, "two", two.addr())
	})
	if _, err := member.Check(within(t), &grpc_health_v1.HealthCheckRequest{}); err != nil {
		t.Errorf("a member: %v", err)
	}
}

// Who is removed is refused at its next call, before anybody closes its
// connection.
func TestCallsAreJudgedByNow(t *testing.T) {
	a := newAuthority(t)
	one, two := start(t, a, "one"), start(t, a, "two")
	h := serve(t, two, Rules{"/grpc.health.v1.Health/*": {RoleNode}})
	member := client(t, one, func(ctx context.Context) (net.Conn, error) {
		return one.DialNode(ctx, ProtocolGRPC, "two", two.addr())
	})
	if _, err := member.Check(within(t), &grpc_health_v1.HealthCheckRequest{}); err != nil {
		t.Fatal(err)
	}
	if p := <-h.callers; p.Role != RoleNode || p.Addr == "" || p.Key == "" {
		t.Errorf("called by %+v", p)
	}
	two.policy.set("one", RoleRemoved)
	_, err := member.Check(within(t), &grpc_health_v1.HealthCheckRequest{})
	if status.Code(err) != codes.PermissionDenied || !strings.Contains(err.Error(), "removed from the cluster") {
		t.Errorf("after the removal: %v", err)
	}
	two.policy.trust(newAuthority(t))
	_, err = member.Check(within(t), &grpc_health_v1.HealthCheckRequest{})
	if status.Code(err) != codes.PermissionDenied || !strings.Contains(err.Error(), "certificate is refused") {
		t.Errorf("of an authority that counts no longer: %v", err)
	}
}

// Somebody with a certificate of the authority whom nobody knows may call what
// the rules say, and has no part in Raft.
func TestUnknown(t *testing.T) {
	a := newAuthority(t)
	one, two := start(t, a, "one"), start(t, a, "two")
	two.policy.set("one", RoleUnknown)
	h := serve(t, two, Rules{"/grpc.health.v1.Health/Check": {RoleUnknown}, "/grpc.health.v1.Health/*": {RoleNode}})
	if _, err := one.dialRaft(t, "two", two); err == nil || !strings.Contains(err.Error(), "does not know this one") {
		t.Errorf("Raft: %v", err)
	}
	two.refused(t, reasonRole, 1)
	if _, err := two.dialRaft(t, "one", one); err == nil || !strings.Contains(err.Error(), "is unknown") {
		t.Errorf("Raft to it: %v", err)
	}
	caller := client(t, one, func(ctx context.Context) (net.Conn, error) {
		return one.DialNode(ctx, ProtocolGRPC, "two", two.addr())
	})
	if _, err := caller.Check(within(t), &grpc_health_v1.HealthCheckRequest{}); err != nil {
		t.Fatal(err)
	}
	if p := <-h.callers; p.Role != RoleUnknown || p.NodeID != "one" {
		t.Errorf("called by %+v", p)
	}
	s, err := caller.Watch(within(t), &grpc_health_v1.HealthCheckRequest{})
	if err == nil {
		_, err = s.Recv()
	}
	if status.Code(err) != codes.PermissionDenied || !strings.Contains(err.Error(), "does not know this one") {
		t.Errorf("a member's call: %v", err)
	}
	// A node that lags behind may ask whom it does not know yet.
	echo(t, one)
	c, err := two.DialNode(within(t), ProtocolGRPC, "one", one.addr())
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

func TestJudgedOnce(t *testing.T) {
	a := newAuthority(t)
	one, two := start(t, a, "one"), start(t, a, "two")
	echo(t, one)
	c, err := two.DialNode(within(t), ProtocolGRPC, "one", one.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	in := inbound(t, one, c)
	one.policy.set("two", RoleRemoved)
	for range 3 {
		if one.judge(in) {
			t.Error("it stays")
		}
	}
	const line = "closing a connection between nodes"
	if log := one.log.String(); strings.Count(log, line) != 1 || strings.Contains(log, "error=") || !strings.Contains(log, "is=removed") {
		t.Errorf("log: %s", log)
	}
	if got := testutil.ToFloat64(one.metrics.refused.WithLabelValues(reasonEnforced)); got != 1 {
		t.Errorf("%v counted", got)
	}
}
