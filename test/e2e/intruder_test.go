package e2e_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/mccd/mccd/cluster/gossip"
	"github.com/mccd/mccd/ring"
)

// gossipTo tries to enter the gossip at node i with a key of its own.
func gossipTo(i int, label string, key []byte) func(*bed) string {
	return func(b *bed) string { return b.gossip(b.Nodes[i].Gossip, label, key) }
}

func (b *bed) gossip(addr, label string, key []byte) string {
	b.Helper()
	cfg := gossip.Config{
		NodeID: strings.Repeat("ab", 16), Name: "intruder", PeerAddr: "127.0.0.1:1", Incarnation: 1,
		FormatVersion: ring.FormatVersion, Bind: "127.0.0.1:0", Label: label,
	}
	if key != nil {
		cfg.Keys = [][]byte{key}
	}
	g, err := gossip.New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.ctx)
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	_, err = g.Join(ctx, []string{addr})
	if err == nil || len(g.Members()) > 1 {
		b.Errorf("an intruder is in the gossip: %v", g.Members())
	}
	cancel()
	<-done
	return fmt.Sprint(err)
}

// plain sends text without TLS and returns the answer.
func plain(i int, text string) func(*bed) string {
	return func(b *bed) string { return b.send(b.Nodes[i].Peer, text) }
}

func (b *bed) send(addr, text string) string {
	b.Helper()
	conn, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(conn, text); err != nil {
		b.Fatal(err)
	}
	answer, err := io.ReadAll(bufio.NewReader(conn))
	if err != nil {
		b.Errorf("the connection was cut, not closed: %v", err)
	}
	return string(answer)
}

// strangerTLS is a caller's without a certificate, who trusts everybody.
func strangerTLS(protocol string) *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13, NextProtos: []string{protocol}}
}

// stranger calls method without a certificate.
func stranger(i int, method string) func(*bed) string {
	return func(b *bed) string { return b.call(b.Nodes[i].Peer, method) }
}

func (b *bed) call(addr, method string) string {
	b.Helper()
	conn, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(credentials.NewTLS(strangerTLS("h2"))))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	ctx, cancel := context.WithTimeout(b.ctx, 10*time.Second)
	defer cancel()
	err = conn.Invoke(ctx, method, &emptypb.Empty{}, &emptypb.Empty{})
	if code := status.Code(err); code != codes.PermissionDenied {
		b.Errorf("%s without a certificate: %v", method, code)
	}
	return fmt.Sprint(err)
}

// strangeRaft opens Raft's protocol without a certificate.
func strangeRaft(i int) func(*bed) string {
	return func(b *bed) string { return b.openRaft(b.Nodes[i].Peer) }
}

func (b *bed) openRaft(addr string) string {
	b.Helper()
	d := tls.Dialer{NetDialer: &net.Dialer{Timeout: 5 * time.Second}, Config: strangerTLS("mccd-raft/1")}
	conn, err := d.DialContext(b.ctx, "tcp", addr)
	if err != nil {
		return fmt.Sprint(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	answer, err := io.ReadAll(conn)
	if err != nil {
		return fmt.Sprintf("answer %q and %v", answer, err)
	}
	if len(answer) > 1 {
		b.Errorf("Raft answers a stranger: %q", answer)
	}
	return fmt.Sprintf("answer %q and the end", answer)
}
