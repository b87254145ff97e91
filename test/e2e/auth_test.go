package e2e_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/mccd/mccd/cluster/admin"
	"github.com/mccd/mccd/cluster/gossip"
	"github.com/mccd/mccd/cluster/identity"
	"github.com/mccd/mccd/ring"
	"github.com/mccd/mccd/test/process"
)

// refusal is one caller whom the cluster has to turn away.
type refusal struct {
	what string
	// by is the member that the caller turns to: another one for each kind,
	// since a node tells of one address and one reason once a minute.
	by int
	// try does it and returns what the caller was told.
	try func(*bed) (told string)
	// told and logged are what the caller's text and the member's log say;
	// counted is a label of what it counts instead, as a line about an address
	// comes once a minute.
	told, logged, counted string
}

// TestRefused: five processes form a cluster by `mccd join`; whoever has no
// right to be in it is refused with a text that says why, at both ends, and
// nothing is changed by it.
func TestRefused(t *testing.T) {
	const members = 5
	b := newBed(t, setting{nodes: members + 2, alone: true})
	newcomer, foreign := b.Nodes[members], b.Nodes[members+1]
	tokens := make([]string, members)
	for i, n := range b.Nodes[1:members] {
		tokens[i+1] = strings.TrimSpace(b.command(0, b.Nodes[i], "token", "create", "--quiet"))
		b.command(0, n, "join", b.Nodes[i].Peer, "--token-file", b.tokenFile(tokens[i+1]))
		b.together(b.Nodes[:i+2])
	}
	b.voters(b.Nodes[:members], members)
	t.Log(b.command(0, b.Nodes[0], "status"))

	expired := strings.TrimSpace(b.command(0, b.Nodes[0], "token", "create", "--quiet", "--ttl", "1s", "--note", "short"))
	revoked := strings.TrimSpace(b.command(0, b.Nodes[0], "token", "create", "--quiet", "--note", "taken back"))
	valid := strings.TrimSpace(b.command(0, b.Nodes[0], "token", "create", "--quiet", "--note", "valid"))
	b.command(0, b.Nodes[1], "token", "revoke", b.tokens("taken back").ID)
	alien := strings.TrimSpace(b.command(0, foreign, "token", "create", "--quiet"))
	// By the leader's clock: the token's own time has to pass.
	if err := process.Poll(b.ctx, func(context.Context) error {
		if end := b.tokens("short").Expires; time.Now().Before(end.Add(time.Second)) {
			return fmt.Errorf("valid until %v", end)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}

	join := func(at int, token string) func(*bed) string {
		return func(b *bed) string {
			return b.command(1, newcomer, "join", b.Nodes[at].Peer, "--token-file", b.tokenFile(token))
		}
	}
	id := b.status(b.Nodes[0]).Cluster.ID
	for _, r := range []refusal{
		{what: "an expired token", by: 0, try: join(0, expired), told: "the token has expired", logged: "the token has expired"},
		{what: "a token that is used up", by: 1, try: join(1, tokens[1]), told: "as many nodes as it may", logged: "as many nodes as it may"},
		{what: "a revoked token", by: 2, try: join(2, revoked), told: "was revoked", logged: "was revoked"},
		{what: "a token of another cluster", by: 0, try: join(0, alien), told: "is not the cluster that the token is for", logged: "reason=tls"},
		{what: "a wrong CA digest", by: 4, try: join(4, mixed(t, valid, alien)), told: "is not the cluster that the token is for", counted: `reason="tls"`},
		{what: "an unknown secret", by: 4, try: join(4, mixed(t, alien, valid)), told: "not one of this cluster", logged: "not one of this cluster"},
		{what: "a mistyped token", by: 0, try: join(0, valid[:len(valid)-1]), told: "mistyped"},
		{what: "a wrong gossip key", by: 0, try: gossipTo(0, id, []byte(strings.Repeat("k", 32))), told: "no installed keys could decrypt", logged: "no installed keys could decrypt"},
		{what: "gossip without a key", by: 1, try: gossipTo(1, id, nil), told: "is encrypted", logged: "is not encrypted"},
		{what: "a plain TCP caller", by: 0, try: plain(0, "hello\n"), told: "speaks TLS", logged: "reason=plain"},
		{what: "an HTTP caller", by: 1, try: plain(1, "GET / HTTP/1.1\r\n\r\n"), told: "400 Bad Request", logged: "reason=plain"},
		{what: "a call without a certificate", by: 0, try: stranger(0, "/mccd.cluster.v1.Cluster/Submit"), told: "needs a node's certificate"},
		{what: "a fill without a certificate", by: 0, try: stranger(0, "/mccd.peer.v1.Peer/Fill"), told: "needs a node's certificate"},
		{what: "Raft without a certificate", by: 2, try: strangeRaft(2), told: "the end", logged: "reason=role"},
	} {
		t.Run(r.what, func(t *testing.T) {
			b.under(t).refused(r, b.Nodes[:members], newcomer)
		})
	}
	t.Run("a removed node", func(t *testing.T) {
		b.under(t).removed(b.Nodes[:members])
	})
}

// under is the same bed in a subtest.
func (b *bed) under(t *testing.T) *bed {
	inner := *b
	inner.T = t
	return &inner
}

// refused expects that r is, by texts at both ends, and that nothing has
// changed.
func (b *bed) refused(r refusal, members []*process.Node, newcomer *process.Node) {
	b.Helper()
	before, alone := b.standing(members), b.standing([]*process.Node{newcomer})
	mark := b.logSize(members[r.by])
	count := b.turnedAway(members[r.by], r.counted)
	told := strings.TrimSpace(r.try(b))
	if !strings.Contains(told, r.told) {
		b.Errorf("the caller was not told %q: %s", r.told, told)
	}
	if strings.Contains(told, "not known whether") {
		b.Error("a refusal is told as something that may have been done")
	}
	b.Logf("the caller was told: %s", told)
	if r.logged != "" {
		b.Logf("%s logged: %s", members[r.by].Name, b.logged(members[r.by], mark, r.logged))
	}
	if r.counted != "" && b.turnedAway(members[r.by], r.counted) <= count {
		b.Errorf("%s did not count it by %s", members[r.by].Name, r.counted)
	}
	if after := b.standing(members); after != before {
		b.Errorf("the cluster has changed:\n%s\nbefore:\n%s", after, before)
	}
	if after := b.standing([]*process.Node{newcomer}); after != alone {
		b.Errorf("the newcomer has changed:\n%s\nbefore:\n%s", after, alone)
	}
}

// removed takes the last member out and expects that it is refused from then
// on, also after a restart, and that a new token lets it in again.
func (b *bed) removed(members []*process.Node) {
	gone, rest := members[len(members)-1], members[:len(members)-1]
	mark, first := b.logSize(gone), b.logSize(rest[0])
	b.Log(b.command(0, rest[0], "remove", gone.Name, "--yes"))
	b.together(rest)
	b.Logf("%s logged: %s", rest[0].Name, b.logged(rest[0], first, "is=removed"))
	b.Logf("%s logged: %s", gone.Name, b.logged(gone, mark, "was removed from the cluster"))
	if err := gone.Stop(b.ctx); err != nil {
		b.Fatal(err)
	}
	before, mark := b.standing(rest), b.logSize(gone)
	if err := gone.Start(); err != nil {
		b.Fatal(err)
	}
	b.Logf("%s logged after a restart: %s", gone.Name, b.logged(gone, mark, "removed from"))
	if err := gone.Await(b.ctx, func(s *process.Status) error {
		for _, w := range s.Warnings {
			if strings.Contains(w, "removed from") {
				b.Logf("its status warns: %s", w)
				return nil
			}
		}
		return fmt.Errorf("warnings: %q", s.Warnings)
	}); err != nil {
		b.Error(err)
	}
	if after := b.standing(rest); after != before {
		b.Errorf("the cluster has changed:\n%s\nbefore:\n%s", after, before)
	}
	if s := b.status(rest[0]); s.Alive() != len(rest) {
		b.Errorf("%d nodes alive, not %d", s.Alive(), len(rest))
	}
	token := b.command(0, rest[0], "token", "create", "--quiet")
	b.command(0, gone, "join", rest[0].Peer, "--token-file", b.tokenFile(token))
	b.together(members)
}

// mixed returns a token with the secret of one and the CA digest of another.
func mixed(t *testing.T, secret, digest string) string {
	t.Helper()
	one, err := identity.ParseToken(secret)
	if err != nil {
		t.Fatal(err)
	}
	other, err := identity.ParseToken(digest)
	if err != nil {
		t.Fatal(err)
	}
	one.CADigest = other.CADigest
	return one.Reveal()
}

func (b *bed) status(n *process.Node) *process.Status {
	b.Helper()
	s, err := n.Status(b.ctx)
	if err != nil {
		b.Fatal(err)
	}
	return s
}

// tokens returns what the cluster keeps of the token with a note.
func (b *bed) tokens(note string) admin.Token {
	b.Helper()
	var all []admin.Token
	if err := json.Unmarshal([]byte(b.command(0, b.Nodes[0], "token", "list", "-o", "json")), &all); err != nil {
		b.Fatal(err)
	}
	i := slices.IndexFunc(all, func(t admin.Token) bool { return t.Note == note })
	if i < 0 {
		b.Fatalf("no token %q in %v", note, all)
	}
	return all[i]
}

// turnedAway returns how many connections the node counts as refused.
func (b *bed) turnedAway(n *process.Node, label string) float64 {
	b.Helper()
	m, err := n.Metrics(b.ctx)
	if err != nil {
		b.Fatal(err)
	}
	return m.Sum("mccd_wire_refused_total", label)
}

// voters waits until all nodes agree that so many vote.
func (b *bed) voters(nodes []*process.Node, want int) {
	b.Helper()
	for _, n := range nodes {
		if err := n.Await(b.ctx, func(s *process.Status) error {
			if got := s.Voters(); got != want || s.Cluster.Role == "follower" {
				return fmt.Errorf("%d voters, this one is %s", got, s.Cluster.Role)
			}
			return nil
		}); err != nil {
			b.Fatal(err)
		}
	}
}

// together waits until the nodes see each other and nobody else.
func (b *bed) together(nodes []*process.Node) {
	b.Helper()
	sub := &process.Cluster{Nodes: nodes}
	if err := sub.Together(b.ctx); err != nil {
		b.Fatal(err)
	}
}

// standing is what must not change at nodes when somebody is refused.
func (b *bed) standing(nodes []*process.Node) string {
	b.Helper()
	var text strings.Builder
	for _, n := range nodes {
		s := b.status(n)
		fmt.Fprintf(&text, "%s: %s, configuration %d, joining %v\n", n.Name, s.Ring(), s.Cluster.ConfigRevision, s.Cluster.Join != nil)
		for _, m := range s.Nodes {
			fmt.Fprintf(&text, "  %s %s %s weight %d voter %v\n", m.ID, m.Name, m.Stage, m.Weight, m.Voter)
		}
	}
	// A leader that this machine held up may have to be elected again.
	err := process.Poll(b.ctx, func(ctx context.Context) error {
		return nodes[0].Admin(ctx, func(ctx context.Context, c *admin.Client) error {
			tokens, err := c.Tokens(ctx)
			if err == nil {
				fmt.Fprintf(&text, "%v", tokens)
			}
			return err
		})
	})
	if err != nil {
		b.Fatal(err)
	}
	return text.String()
}

func (b *bed) logSize(n *process.Node) int {
	b.Helper()
	info, err := os.Stat(n.LogFile)
	if err != nil {
		b.Fatal(err)
	}
	return int(info.Size())
}

func (b *bed) logFrom(n *process.Node, mark int) string {
	b.Helper()
	text, err := os.ReadFile(n.LogFile)
	if err != nil {
		b.Fatal(err)
	}
	return string(text[min(mark, len(text)):])
}

// logged waits for a line with want in the node's log behind mark.
func (b *bed) logged(n *process.Node, mark int, want string) (line string) {
	b.Helper()
	soon, cancel := context.WithTimeout(b.ctx, 20*time.Second)
	defer cancel()
	if err := process.Poll(soon, func(context.Context) error {
		if line = lineWith(b.logFrom(n, mark), want); line == "" {
			return errors.New("no such line")
		}
		return nil
	}); err != nil {
		b.Errorf("%s did not log %q but:\n%s", n.Name, want, b.logFrom(n, mark))
	}
	return line
}

func lineWith(text, want string) string {
	for line := range strings.Lines(text) {
		if strings.Contains(line, want) {
			return strings.TrimSpace(line)
		}
	}
	return ""
}

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
	return &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13, NextProtos: []string{protocol}} //nolint:gosec // an intruder does not check
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
