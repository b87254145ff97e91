package wire

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// call opens a TCP connection, sends what is given and returns what comes
// until the end.
func call(t testing.TB, n *node, send string) string {
	t.Helper()
	c, err := net.Dial("tcp", n.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, send); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(c)
	if err != nil {
		t.Errorf("%.20q: %v", send, err)
	}
	return string(b)
}

func TestPlainCallersAreSentAway(t *testing.T) {
	n := start(t, newAuthority(t), "one")
	for i, c := range []struct{ send, prefix string }{
		{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.0 400 "},
		{"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 30000\r\n\r\n" + strings.Repeat("x", 30000), "HTTP/1.0 400 "},
		{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/1.0 400 "},
		{"hello\n", "mccd: "},
		{"\x00\x01\x02", "mccd: "},
	} {
		got := call(t, n, c.send)
		if !strings.HasPrefix(got, c.prefix) || !strings.HasSuffix(got, "mccd: this port speaks TLS between nodes; clients use port 80\n") {
			t.Errorf("%.20q: %q", c.send, got)
		}
		n.refused(t, reasonPlain, float64(i+1))
	}
	// One line a minute for one address.
	if log := n.log.String(); strings.Count(log, "reason=plain") != 1 || !strings.Contains(log, "level=WARN") {
		t.Errorf("log: %s", log)
	}
}

func TestBrokenTLS(t *testing.T) {
	a := newAuthority(t)
	n := start(t, a, "one")
	call(t, n, "\x16\x03\x01\x00\x05hello")
	n.refused(t, reasonTLS, 1)

	_, err := tls.Dial("tcp", n.addr(), &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12, NextProtos: []string{"h2"}})
	if err == nil || !strings.Contains(err.Error(), "protocol version") {
		t.Errorf("TLS 1.2: %v", err)
	}
	n.refused(t, reasonTLS, 2)

	_, err = tls.Dial("tcp", n.addr(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"spdy/3"}})
	if err == nil || !strings.Contains(err.Error(), "no application protocol") {
		t.Errorf("another protocol: %v", err)
	}
	n.refused(t, reasonTLS, 3)

	none, err := tls.Dial("tcp", n.addr(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer none.Close()
	if _, err := none.Read(make([]byte, 1)); err == nil {
		t.Error("no protocol: bytes came")
	}
	n.refused(t, reasonProtocol, 1)

	// Raft without a certificate.
	raft, err := tls.Dial("tcp", n.addr(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{ProtocolRaft}})
	if err != nil {
		t.Fatal(err)
	}
	defer raft.Close()
	if b, _ := io.ReadAll(raft); !bytes.Equal(b, []byte{raftNotNode}) {
		t.Errorf("Raft without a certificate: %q", b)
	}
	n.refused(t, reasonRole, 1)

	// A caller that goes away, and one that never speaks.
	c, err := net.Dial("tcp", n.addr())
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	n.refused(t, reasonClosed, 1)
	hasty := start(t, a, "hasty", func(c *Config) { c.HandshakeTimeout = 50 * time.Millisecond })
	slow, err := net.Dial("tcp", hasty.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	hasty.refused(t, reasonTimeout, 1)
	if strings.Contains(n.log.String(), "reason=closed") {
		t.Error("a probe is worth no line")
	}
}

// Nobody gets in with a certificate whose key is not theirs, whatever the
// Policy says of the certificate.
func TestACertificateIsNotEnough(t *testing.T) {
	a := newAuthority(t)
	n := start(t, a, "one")
	stolen := a.shown(t, "two", time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	stolen.PrivateKey = a.shown(t, "two", time.Now(), time.Now()).PrivateKey
	c, err := tls.Dial("tcp", n.addr(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{ProtocolRaft}, Certificates: []tls.Certificate{*stolen}})
	if err == nil {
		defer c.Close()
		_, err = c.Read(make([]byte, 1))
	}
	if err == nil {
		t.Error("let in")
	}
	n.refused(t, reasonTLS, 1)
}

// Many that never finish keep nobody out, and only so many are in progress.
func TestHalfOpenConnectionsKeepNobodyOut(t *testing.T) {
	a := newAuthority(t)
	one := start(t, a, "one", func(c *Config) { c.MaxHandshakes, c.HandshakeTimeout = 16, time.Hour })
	two := start(t, a, "two")
	echo(t, one)
	const flood = 100
	for i := range flood {
		c, err := net.Dial("tcp", one.addr())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if i%2 == 0 { // the beginning of a hello, a byte at a time
			_, _ = c.Write([]byte{tlsHandshake})
		}
	}
	conn, err := two.DialNode(within(t), ProtocolGRPC, "one", one.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
		t.Errorf("during the flood: %v", err)
	}
	one.refused(t, reasonCrowded, flood-4) // all of one address: a quarter of 16
	if n := len(one.gate.all()); n > 4 {
		t.Errorf("%d handshakes in progress", n)
	}
}

func TestNobodyTakesItOver(t *testing.T) {
	a := newAuthority(t)
	one, two := start(t, a, "one", func(c *Config) { c.HandshakeTimeout = 3 * time.Second }), start(t, a, "two")
	conn, err := two.dialRaft(t, "one", one)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("bytes came")
	}
	one.refused(t, reasonUntaken, 1)
	await(t, func() bool { return len(one.Connections()) == 0 }, "it is in the books still")
}

// failing is a listener whose Accept fails a few times.
type failing struct {
	net.Listener
	errs chan error
}

func (f *failing) Accept() (net.Conn, error) {
	select {
	case err := <-f.errs:
		return nil, err
	default:
		return f.Listener.Accept()
	}
}

func TestAcceptErrorsPass(t *testing.T) {
	a := newAuthority(t)
	errs := make(chan error, 3)
	for range cap(errs) {
		errs <- errors.New("too many open files")
	}
	one := start(t, a, "one", func(c *Config) { c.Listener = &failing{c.Listener, errs} })
	two := start(t, a, "two")
	if _, err := two.DialNode(within(t), ProtocolGRPC, "one", one.addr()); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	if got := testutil.ToFloat64(one.metrics.failed); got != 3 {
		t.Errorf("%v failures counted", got)
	}
}

func TestConfig(t *testing.T) {
	if _, err := New(Config{}); err == nil || !strings.Contains(err.Error(), "Listener") || !strings.Contains(err.Error(), "Policy") {
		t.Errorf("%v", err)
	}
	for role, want := range map[Role]string{RoleNone: "none", RoleNode: "node", RoleExpired: "expired", RoleRemoved: "removed", 9: "role 9"} {
		if fmt.Sprint(role) != want {
			t.Errorf("%d is %q", role, role)
		}
	}
}
