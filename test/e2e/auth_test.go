package e2e_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mccd/mccd/cluster/identity"
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
		{what: "a call without a certificate", by: 0, try: stranger(0, "/mccd.cluster.v1.Cluster/Submit"), told: "needs a node's certificate", counted: `reason="role"`},
		{what: "a fill without a certificate", by: 0, try: stranger(0, "/mccd.peer.v1.Peer/Fill"), told: "needs a node's certificate", counted: `reason="role"`},
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
