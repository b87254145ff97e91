package wire

import (
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// ended reports whether the connection ends, and not by the reader's deadline.
func ended(t testing.TB, c net.Conn) {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil && !errors.Is(err, net.ErrClosed) {
		t.Fatal(err)
	}
	_, err := c.Read(make([]byte, 1))
	var slow net.Error
	if err == nil || errors.As(err, &slow) && slow.Timeout() {
		t.Errorf("it is open still: %v", err)
	}
}

func TestEnforceClosesWhoIsRemoved(t *testing.T) {
	a := newAuthority(t)
	one, two, three := start(t, a, "one"), start(t, a, "two"), start(t, a, "three")
	echo(t, one)
	two.raftFrom(t, one)
	raft, err := two.dialRaft(t, "one", one)
	if err != nil {
		t.Fatal(err)
	}
	defer raft.Close()
	raftIn, err := one.AcceptRaft(within(t))
	if err != nil {
		t.Fatal(err)
	}
	defer raftIn.Close()
	calls, err := two.DialNode(within(t), ProtocolGRPC, "one", one.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer calls.Close()
	stays, err := three.DialNode(within(t), ProtocolGRPC, "one", one.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer stays.Close()
	await(t, func() bool { return len(one.Connections()) == 4 }, "not all are in the books")

	one.Enforce() // nothing changed
	if got := len(one.Connections()); got != 4 {
		t.Fatalf("%d connections are open", got)
	}
	one.policy.set("two", RoleRemoved)
	one.Enforce()
	ended(t, raft)
	ended(t, calls)
	await(t, func() bool { return len(one.Connections()) == 1 }, "the removed node's connections are open")
	if _, err := stays.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(stays, make([]byte, 1)); err != nil {
		t.Errorf("another node's connection: %v", err)
	}
	if got := testutil.ToFloat64(one.metrics.refused.WithLabelValues(reasonEnforced)); got != 3 {
		t.Errorf("%v counted", got)
	}
	// It may come back as what it is now.
	if _, err := two.dialRaft(t, "one", one); !errors.Is(err, ErrRefused) {
		t.Errorf("Raft: %v", err)
	}
	again, err := two.DialNode(within(t), ProtocolGRPC, "one", one.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	await(t, func() bool {
		for _, p := range one.Connections() {
			if p.NodeID == "two" && p.Role == RoleRemoved {
				return true
			}
		}
		return false
	}, "the removed node is not known as that")
}

// raftFrom has the other node dial n, so that n has an outbound one too.
func (n *node) raftFrom(t testing.TB, other *node) {
	t.Helper()
	c, err := other.dialRaft(t, n.policy.Certificate().Leaf.Subject.CommonName, n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	in, err := n.AcceptRaft(within(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close() })
}

// A node that is removed while it shakes hands does not slip in.
func TestEnforceJudgesHandshakesInProgress(t *testing.T) {
	a := newAuthority(t)
	one, two := start(t, a, "one"), start(t, a, "two")
	echo(t, one)
	var asked atomic.Int32
	one.policy.mu.Lock()
	one.policy.before = func() {
		// After the first answer was asked for, and before it is used.
		if asked.Add(1) == 1 {
			one.Enforce()
		}
	}
	one.policy.mu.Unlock()
	conn, err := two.DialNode(within(t), ProtocolGRPC, "one", one.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	await(t, func() bool { return asked.Load() == 2 }, "the Policy was not asked again")
}

func TestCloseEndsEverything(t *testing.T) {
	a := newAuthority(t)
	one, two := start(t, a, "one"), start(t, a, "two")
	raft, err := two.dialRaft(t, "one", one)
	if err != nil {
		t.Fatal(err)
	}
	defer raft.Close()
	in, err := one.AcceptRaft(within(t))
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if err := one.Close(); err != nil {
		t.Fatal(err)
	}
	ended(t, raft)
	ended(t, in)
	if _, err := one.AcceptRaft(within(t)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("AcceptRaft: %v", err)
	}
	if _, err := one.GRPC().Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept: %v", err)
	}
	if _, err := one.DialNode(within(t), ProtocolGRPC, "two", two.addr()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("DialNode: %v", err)
	}
	if got := len(one.Connections()); got != 0 {
		t.Errorf("%d connections are open", got)
	}
	if err := one.Run(context.Background()); err == nil {
		t.Error("it ran twice")
	}
}

// The end of Run leaves open connections to those who have them.
func TestRunEndsAndConnectionsStay(t *testing.T) {
	a := newAuthority(t)
	two := start(t, a, "two")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(Config{Listener: l, Policy: &policy{trusted: a, cert: a.shown(t, "one", time.Now().Add(-time.Hour), time.Now().Add(time.Hour))}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	c, err := two.DialNode(within(t), ProtocolRaft, "one", p.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	in, err := p.AcceptRaft(within(t))
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	half, err := net.Dial("tcp", p.Addr().String()) // a handshake in progress
	if err != nil {
		t.Fatal(err)
	}
	defer half.Close()
	await(t, func() bool { return len(p.gate.all()) == 1 }, "it was not taken in")
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	ended(t, half)
	if _, err := in.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Errorf("an open connection: %v", err)
	}
}
