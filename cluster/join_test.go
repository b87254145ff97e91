package cluster

import (
	"errors"
	"net"
	"testing"
	"time"

	"github.com/mccd/mccd/cluster/identity"
	"github.com/mccd/mccd/cluster/state"
	"github.com/mccd/mccd/test/loopback"
)

func TestFirstBoot(t *testing.T) {
	w := newWorld(t)
	a := w.start(w.config("a"))
	a.writes()
	before := a.snapshot()
	a.halt()
	// The first View needs no election.
	a.open()
	if v := a.View(); v.Digest() != before.digest || v.Epoch.Cluster != before.epoch.Cluster {
		t.Errorf("first view after a restart: epoch %v, want %v", v.Epoch, before.epoch)
	}
	a.run()
	a.writes()
}

func TestFormThree(t *testing.T) {
	w := newWorld(t)
	all := w.form(3)
	w.voters(3, all...)
	for _, n := range all {
		n.writes()
	}
}

// TestJoinTwice: a join of the cluster that the node is in does nothing, one
// of another is refused.
func TestJoinTwice(t *testing.T) {
	w := newWorld(t)
	all := w.form(2)
	token := all[0].token(state.TokenSpec{Uses: 1})
	before := all[1].snapshot()
	if err := all[1].Join(w.ctx(), []string{all[0].addr}, token); err != nil {
		t.Errorf("a second join: %v", err)
	}
	other := w.start(w.config("other"))
	w.wants(all[1].Join(w.ctx(), []string{other.addr}, other.token(state.TokenSpec{})), "member of a cluster with others", "mccd leave")
	if after := all[1].snapshot(); after != before {
		t.Errorf("after both: %+v, before %+v", after, before)
	}
	if tokens := all[0].tokens(); uses(tokens) != -1+1 {
		t.Errorf("tokens: %+v", tokens)
	}
}

// tokens are those of the cluster, as the leader knows them.
func (n *member) tokens() (all []state.Token) {
	n.w.t.Helper()
	n.w.must(func() (err error) { all, err = n.Tokens(n.w.ctx()); return err })
	return all
}

// uses sums what tokens are good for.
func uses(tokens []state.Token) (n int64) {
	for _, t := range tokens {
		n += t.Uses
	}
	return n
}

// TestJoinRefused: each refusal says why, and changes nothing on both sides.
func TestJoinRefused(t *testing.T) {
	w := newWorld(t)
	a := w.start(w.config("a"))
	foreign := w.start(w.config("foreign"))
	used := w.start(w.config("used"))
	joiner := w.start(w.config("joiner"))
	usedUp := a.token(state.TokenSpec{})
	used.joins(usedUp, a.addr)
	w.agreed(a, used)
	revoked := a.token(state.TokenSpec{Uses: 3})
	tokens := a.tokens()
	w.must(func() error { return a.RevokeToken(w.ctx(), tokens[len(tokens)-1].ID) })
	expired := a.token(state.TokenSpec{TTL: time.Second})
	good := a.token(state.TokenSpec{})
	unknown, err := identity.NewToken(identity.Digest(a.State().Trust.CAs[0]))
	if err != nil {
		t.Fatal(err)
	}
	w.await("the token expires", func() error {
		if now := time.Now().Unix(); now <= a.State().Tokens[2].ExpiresUnix {
			return errors.New("not yet")
		}
		return nil
	})
	plain := listen(t, func(c net.Conn) { _, _ = c.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")); _ = c.Close() })
	closed := loopback.Closed(t)

	before, there := joiner.snapshot(), a.snapshot()
	for name, c := range map[string]struct {
		peer, token string
		says        []string
	}{
		"expired":       {a.addr, expired, []string{"expired", "mccd token create"}},
		"used up":       {a.addr, usedUp, []string{"as many nodes as it may"}},
		"revoked":       {a.addr, revoked, []string{"revoked"}},
		"unknown":       {a.addr, unknown.Reveal(), []string{"not one of this cluster"}},
		"foreign":       {a.addr, foreign.token(state.TokenSpec{}), []string{"peer " + a.addr}},
		"wrong digest":  {foreign.addr, good, []string{"peer " + foreign.addr}},
		"mistyped":      {a.addr, good[:len(good)-1] + "!", []string{"token"}},
		"no token":      {a.addr, "hello", []string{"token"}},
		"no peer there": {closed, good, []string{"nothing was changed", "refused"}},
		"not TLS":       {plain, good, []string{"peer " + plain, "TLS"}},
		"no port":       {"a b", good, []string{"want host or host:port"}},
	} {
		err := w.firm(func() error { return joiner.Join(w.ctx(), []string{c.peer}, c.token) })
		w.wants(err, c.says...)
		t.Logf("%s: %v", name, err)
		if after := joiner.snapshot(); after != before {
			t.Errorf("%s: after it %+v, before %+v", name, after, before)
		}
		if s, _ := joiner.ClusterStatus(w.ctx()); s.Join != nil {
			t.Errorf("%s: a join goes on: %+v", name, s.Join)
		}
	}
	if after := a.snapshot(); after != there {
		t.Errorf("the cluster: after all %+v, before %+v", after, there)
	}
	if n := uses(a.State().Tokens); n != 3+1+1 {
		t.Errorf("%d uses are left", n)
	}
	joiner.writes()
	a.writes()
	joiner.joins(good, closed, a.addr) // at the second peer
	w.agreed(a, used, joiner)
}

// listen answers every connection by serve.
func listen(t *testing.T, serve func(net.Conn)) string {
	l, err := net.Listen("tcp", loopback.Any(t))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serve(c)
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return l.Addr().String()
}

// TestJoinEachOther: of two nodes that join each other at once at most one
// does, and none is lost.
func TestJoinEachOther(t *testing.T) {
	w := newWorld(t)
	a, b := w.start(w.config("a")), w.start(w.config("b"))
	ta, tb := a.token(state.TokenSpec{Uses: -1}), b.token(state.TokenSpec{Uses: -1})
	errs := make(chan error, 2)
	go func() { errs <- a.Join(w.ctx(), []string{b.addr}, tb) }()
	go func() { errs <- b.Join(w.ctx(), []string{a.addr}, ta) }()
	e1, e2 := <-errs, <-errs
	t.Logf("%v, %v", e1, e2)
	if e1 == nil && e2 == nil {
		t.Fatal("both joined")
	}
	// Of an outcome that is not known the node goes on by itself.
	if e1 != nil && e2 != nil && !errors.Is(errors.Join(e1, e2), state.ErrUnknownOutcome) {
		a.joins(tb, b.addr)
	}
	w.agreed(a, b)
}
