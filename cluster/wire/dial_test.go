package wire

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

func TestTwoNodesSpeak(t *testing.T) {
	a := newAuthority(t)
	one, two := start(t, a, "one"), start(t, a, "two")
	echo(t, two)
	c, err := one.DialNode(within(t), ProtocolGRPC, "two", two.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	peer := c.(*Conn).Peer()
	if peer.NodeID != "two" || peer.Role != RoleNode || len(peer.Key) != 64 || peer.Addr != two.addr() {
		t.Errorf("at the other end: %+v", peer)
	}
	if s := c.(*Conn).ConnectionState(); s.Version != tls.VersionTLS13 || s.DidResume {
		t.Errorf("TLS %x, resumed %v", s.Version, s.DidResume)
	}
	// More than the buffers below, and not a multiple of anything.
	sent := bytes.Repeat([]byte("0123456789abcdef!"), 123457)
	go func() { _, _ = c.Write(sent) }()
	got := make([]byte, len(sent))
	if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, sent) {
		t.Errorf("echoed something else: %v", err)
	}
}

func TestRaftIsAcceptedApart(t *testing.T) {
	a := newAuthority(t)
	one, two := start(t, a, "one"), start(t, a, "two")
	echo(t, two)
	c, err := one.dialRaft(t, "two", two)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	in, err := two.AcceptRaft(within(t))
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if in.Peer().NodeID != "one" || in.Protocol() != ProtocolRaft {
		t.Errorf("from %+v with %s", in.Peer(), in.Protocol())
	}
	if _, err := c.Write([]byte("log")); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 3)
	if _, err := io.ReadFull(in, buf); err != nil || string(buf) != "log" {
		t.Errorf("%q, %v", buf, err)
	}
}

func (n *node) dialRaft(t testing.TB, id string, to *node) (net.Conn, error) {
	t.Helper()
	return n.DialNode(within(t), ProtocolRaft, id, to.addr())
}

func TestDialNodeChecksWhoAnswers(t *testing.T) {
	a := newAuthority(t)
	one, two := start(t, a, "one"), start(t, a, "two")
	foreign := start(t, newAuthority(t), "two")
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	go func() {
		for {
			c, err := plain.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n")
			_ = c.Close()
		}
	}()
	for _, c := range []struct {
		name, id, addr string
		role           Role
		want           error
		text           string
	}{
		{name: "another node's address", id: "three", addr: two.addr(), role: RoleNode, want: ErrWrongNode, text: `"two"`},
		{name: "a node of another cluster", id: "two", addr: foreign.addr(), role: RoleNode, want: ErrNotMember, text: "foreign authority"},
		{name: "one that was removed", id: "two", addr: two.addr(), role: RoleRemoved, want: ErrNotMember, text: "removed"},
		{name: "one that is expired", id: "two", addr: two.addr(), role: RoleExpired, want: ErrNotMember, text: "expired"},
		{name: "any member, and it is none", addr: foreign.addr(), role: RoleNode, want: ErrNotMember},
		{name: "no TLS", id: "two", addr: plain.Addr().String(), role: RoleNode, want: ErrNotTLS, text: "7947"},
	} {
		t.Run(c.name, func(t *testing.T) {
			one.policy.set("two", c.role)
			conn, err := one.DialNode(within(t), ProtocolGRPC, c.id, c.addr)
			if err == nil {
				conn.Close()
			}
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) || !strings.Contains(err.Error(), c.addr) {
				t.Errorf("%v, want %v with %q", err, c.want, c.text)
			}
		})
	}
	one.policy.set("two", RoleNode)
	conn, err := one.DialNode(within(t), ProtocolGRPC, "", two.addr())
	if err != nil {
		t.Fatalf("any member: %v", err)
	}
	conn.Close()
}

// The side that is refused is told, over Raft's protocol while it dials, over
// gRPC's at its first read.
func TestRefusedCallersAreTold(t *testing.T) {
	a := newAuthority(t)
	one, two := start(t, a, "one"), start(t, a, "two")
	echo(t, two)
	for _, c := range []struct {
		role Role
		text string
	}{{RoleExpired, "out of date"}, {RoleRemoved, "removed"}} {
		two.policy.set("one", c.role)
		if _, err := one.dialRaft(t, "two", two); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%v: %v", c.role, err)
		}
	}
	two.refused(t, reasonRole, 2)

	// A certificate of another cluster, by a node that trusts both.
	one.policy.show(newAuthority(t).shown(t, "one", time.Now().Add(-time.Hour), time.Now().Add(time.Hour)))
	if _, err := one.dialRaft(t, "two", two); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "another cluster") {
		t.Errorf("foreign, Raft: %v", err)
	}
	conn, err := one.DialNode(within(t), ProtocolGRPC, "two", two.addr())
	if err == nil {
		defer conn.Close()
		_, err = conn.Read(make([]byte, 1))
	}
	if !errors.Is(err, ErrRefused) {
		t.Errorf("foreign, gRPC: %v", err)
	}
	two.refused(t, reasonCertificate, 2)
	await(t, func() bool { return strings.Contains(two.log.String(), `"claims to be"=one`) }, "the log does not name the claim")
	if log := two.log.String(); !strings.Contains(log, "foreign authority") || !strings.Contains(log, "127.0.0.1:") {
		t.Errorf("log: %s", log)
	}
}

func TestDialWithoutACertificate(t *testing.T) {
	a := newAuthority(t)
	one, two := start(t, a, "one"), start(t, a, "two")
	one.policy.show(nil)
	if _, err := one.dialRaft(t, "two", two); err == nil || !strings.Contains(err.Error(), "no certificate yet") {
		t.Errorf("without its own: %v", err)
	}
	if _, err := two.dialRaft(t, "one", one); err == nil {
		t.Error("a node without a certificate let another in")
	}
}

func TestDialPinned(t *testing.T) {
	a := newAuthority(t)
	joiner, member := start(t, newAuthority(t), "joiner"), start(t, a, "member")
	echo(t, member)
	is := func(want *authority) func([]byte) bool {
		return func(der []byte) bool { return bytes.Equal(der, want.cert.Raw) }
	}
	conn, authority, err := joiner.DialPinned(within(t), member.addr(), is(a))
	if err != nil || !bytes.Equal(authority, a.cert.Raw) {
		t.Fatal(err)
	}
	defer conn.Close()
	joiner.Enforce() // another cluster's connection is none of the policy's
	if _, err := conn.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
		t.Errorf("a pinned connection: %v", err)
	}
	await(t, func() bool { return len(member.Connections()) == 1 }, "not in the books")
	if got := member.Connections()[0]; got.Role != RoleNone || got.NodeID != "" {
		t.Errorf("without a certificate the caller is %+v", got)
	}

	_, _, err = joiner.DialPinned(within(t), member.addr(), is(newAuthority(t)))
	if !errors.Is(err, ErrPin) || !strings.Contains(err.Error(), member.addr()) {
		t.Errorf("another cluster's token: %v", err)
	}
	// The right authority is shown, but it did not sign.
	liar := newAuthority(t).shown(t, "member", time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	liar.Certificate[1] = a.cert.Raw
	member.policy.show(liar)
	if _, _, err := joiner.DialPinned(within(t), member.addr(), is(a)); !errors.Is(err, ErrPin) {
		t.Errorf("a borrowed authority: %v", err)
	}
	// Only a leaf.
	liar.Certificate = liar.Certificate[:1]
	if _, _, err := joiner.DialPinned(within(t), member.addr(), is(a)); !errors.Is(err, ErrPin) {
		t.Errorf("no authority: %v", err)
	}
	member.policy.show(a.shown(t, "member", time.Now().Add(-time.Hour), time.Now().Add(-time.Minute)))
	if _, _, err := joiner.DialPinned(within(t), member.addr(), is(a)); err == nil || errors.Is(err, ErrPin) || !strings.Contains(err.Error(), "clocks") {
		t.Errorf("an expired member: %v", err)
	}
}

func TestDialsEndInTime(t *testing.T) {
	a := newAuthority(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts, never speaks
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	one := start(t, a, "one", func(c *Config) { c.HandshakeTimeout = 50 * time.Millisecond })
	if _, err := one.DialNode(within(t), ProtocolGRPC, "two", silent.Addr().String()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("silent: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	patient := start(t, a, "patient", func(c *Config) {
		c.HandshakeTimeout = time.Hour
		c.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
			defer cancel()
			var d net.Dialer
			return d.DialContext(ctx, "tcp", addr)
		}
	})
	if _, err := patient.DialNode(ctx, ProtocolGRPC, "two", silent.Addr().String()); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
