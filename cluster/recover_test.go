package cluster

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/mccd/mccd/cluster/state"
)

// unled waits until n knows no leader, but who votes.
func (w *world) unled(n *member) {
	w.t.Helper()
	w.await("no leader", func() error {
		if s, _ := n.ClusterStatus(w.ctx()); s.Quorum.OK {
			return errors.New("there is one")
		}
		if len(n.current.Load().raft.Quorum().Voters) == 0 {
			return errors.New("Raft does not run yet")
		}
		return nil
	})
}

// TestWritesWithoutQuorum: they fail soon, and say why; so does status; the
// View is as it was, also after a restart.
func TestWritesWithoutQuorum(t *testing.T) {
	w := newWorld(t)
	all := w.form(3)
	w.voters(3, all...)
	leads, rest := w.leader(all...)
	digest := rest[0].View().Digest()
	leads.halt()
	rest[1].halt()
	n := rest[0]
	for range 2 {
		w.unled(n)
		var err error
		w.await("an answer", func() error {
			// A vote that was under way may have made it lead once more.
			if _, err = n.Purge(w.ctx(), state.PurgeSpec{Host: "h"}); errors.Is(err, state.ErrUnknownOutcome) {
				return err
			}
			return nil
		})
		if !errors.Is(err, state.ErrNoQuorum) {
			t.Error(err)
		}
		w.wants(err, "of 3 voters answer here", "mccd recover", "downloads go on")
		w.wants(n.Leave(w.ctx()), "bring", "remove")
		s, _ := n.ClusterStatus(w.ctx())
		if s.Quorum.OK || s.Quorum.Reason == "" || len(s.Warnings) == 0 {
			t.Errorf("status: %+v", s)
		}
		if n.View().Digest() != digest {
			t.Error("the ring is another one")
		}
		n.halt()
		n.restart()
	}
}

// TestRecover: a survivor rebuilds; whoever comes back, the former majority
// too, takes the configuration from it and never the other way round.
func TestRecover(t *testing.T) {
	w := newWorld(t)
	all := w.form(3)
	w.voters(3, all...)
	survivor, dead, late := all[0], all[1], all[2]
	w.await("it is refused", func() error {
		w.leader(all...)
		_, err := survivor.Recover(w.ctx(), state.RecoverSpec{DryRun: true})
		if err == nil || !strings.Contains(err.Error(), "refused") || !strings.Contains(err.Error(), "has a leader") {
			return fmt.Errorf("the answer is %w", err)
		}
		return nil
	})
	w.must(func() error { return survivor.SetNode(w.ctx(), "b", state.NodeSettings{Zone: ptr("before")}) })
	w.await("all have it", func() error {
		for _, n := range all {
			if rec, _ := n.State().Node(dead.ID()); rec.Zone != "before" {
				return errors.New(n.cfg.Name)
			}
		}
		return nil
	})
	dead.halt()
	late.halt()
	w.unled(survivor)
	before := survivor.snapshot()
	report, err := survivor.Recover(w.ctx(), state.RecoverSpec{DryRun: true})
	if err != nil || report.Generation != 2 || len(report.LostVoters) != 2 || survivor.snapshot() != before {
		t.Fatalf("dry run: %+v, %v", report, err)
	}
	if report, err = survivor.Recover(w.ctx(), state.RecoverSpec{}); err != nil || report.Generation != 2 {
		t.Fatalf("recover: %+v, %v", report, err)
	}
	survivor.writes()
	w.must(func() error { return survivor.SetNode(w.ctx(), "b", state.NodeSettings{Zone: ptr("after")}) })
	if survivor.View().Digest() == 0 || len(survivor.View().Nodes()) != 3 {
		t.Error("the ring lost its members")
	}
	dead.restart()
	late.restart()
	w.agreed(all...)
	for _, n := range all {
		n.writes()
		rec, _ := n.State().Node(dead.ID())
		if st := n.State(); st.Generation != 2 || rec.Zone != "after" {
			t.Errorf("%s: generation %d, zone %q", n.cfg.Name, st.Generation, rec.Zone)
		}
	}
	w.await("the former logs are removed", func() error {
		for _, n := range all {
			if n.file(memberFolder, raftFolder+formerSuffix) {
				return errors.New(n.cfg.Name)
			}
		}
		return nil
	})
	w.voters(3, all...)
}

func ptr[T any](v T) *T { return &v }

// TestRecoverSupersede: a voter that answers forbids it, unless it is named.
func TestRecoverSupersede(t *testing.T) {
	w := newWorld(t)
	all := w.form(5)
	w.voters(5, all...)
	for _, n := range all[2:] {
		n.halt()
	}
	a, b := all[0], all[1]
	w.unled(a)
	w.unled(b)
	_, err := a.Recover(w.ctx(), state.RecoverSpec{})
	w.wants(err, "refused", "b answers")
	if !errors.Is(err, state.ErrRecoverRefused) {
		t.Error("not ErrRecoverRefused")
	}
	// Of two with other logs, the longer one recovers.
	from, other := a, b
	if _, err := a.Recover(w.ctx(), state.RecoverSpec{Supersede: []string{"b"}, DryRun: true}); err != nil {
		w.wants(err, "recover there")
		from, other = b, a
	}
	w.await("recovered", func() error {
		_, err := from.Recover(w.ctx(), state.RecoverSpec{Supersede: []string{other.cfg.Name}})
		return err
	})
	w.await("the other one follows", func() error {
		if st := other.State(); st.Generation != 2 {
			return fmt.Errorf("generation %d", st.Generation)
		}
		return nil
	})
	from.writes()
	other.writes()
	// The former majority comes back and gives way.
	for _, n := range all[2:] {
		n.restart()
	}
	w.agreed(all...)
	for _, n := range all {
		if n.State().Generation != 2 {
			t.Errorf("%s is of generation %d", n.cfg.Name, n.State().Generation)
		}
	}
}

func TestBackup(t *testing.T) {
	const passphrase = "correct horse battery"
	w := newWorld(t)
	w.secret("a passphrase", passphrase)
	all := w.form(2)
	w.must(func() error { return all[1].SetNode(w.ctx(), "b", state.NodeSettings{Zone: ptr("east")}) })
	_, err := all[0].Backup(w.ctx(), "short")
	w.wants(err, "passphrase")
	sealed, err := all[1].Backup(w.ctx(), passphrase)
	if err != nil {
		t.Fatal(err)
	}
	was := all[0].State()
	fresh := w.start(w.config("a"))
	before := fresh.snapshot()
	_, err = parseBackup([]byte(`{"version":9,"sealing_key":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}`))
	w.wants(err, "newer release")
	damaged := append([]byte(nil), sealed...)
	damaged[len(damaged)/2] ^= 1
	for name, c := range map[string]struct {
		b    []byte
		pass string
		at   *member
		says string
	}{
		"wrong passphrase": {sealed, "wrong horse", fresh, "passphrase"},
		"damaged":          {damaged, passphrase, fresh, "restore"},
		"not one":          {[]byte("hello"), passphrase, fresh, "not a backup"},
		"a member":         {sealed, passphrase, all[0], "member of a cluster with others"},
		"survivors":        {sealed, passphrase, fresh, "answers at"},
	} {
		err := c.at.Restore(w.ctx(), c.b, c.pass)
		w.wants(err, c.says)
		t.Logf("%s: %v", name, err)
		if after := fresh.snapshot(); after != before {
			t.Errorf("%s: after it %+v, before %+v", name, after, before)
		}
	}
	all[0].halt()
	all[1].halt()
	if err := fresh.Restore(w.ctx(), sealed, passphrase); err != nil {
		t.Fatal(err)
	}
	fresh.writes()
	st := fresh.State()
	b, _ := st.ByName("b")
	a, _ := st.ByName("a")
	if st.ClusterID != was.ClusterID || st.Generation != was.Generation+1 || b == nil || b.Zone != "east" || a == nil || a.ID != fresh.ID() {
		t.Errorf("restored: cluster %s generation %d, b %+v, a %+v", st.ClusterID, st.Generation, b, a)
	}
	// Who may have been removed since is no member, knows no key, has no token.
	old, _ := was.Node(all[1].ID())
	if _, there := st.Node(old.ID); there || st.SealingKeyID == was.SealingKeyID || bytes.Equal(st.Trust.CAs[0], was.Trust.CAs[0]) {
		t.Errorf("a former node or key is good still: %t", there)
	}
	if _, err := all[1].current.Load().id.Load().Sealing.Open(keyringPurpose, st.Gossip.Sealed); err == nil {
		t.Error("the former sealing key opens the gossip keys")
	}
	for _, tok := range st.Tokens {
		if !tok.Revoked {
			t.Errorf("token %s is good still", tok.ID)
		}
	}
	// A node of a name of the backup takes that one's place, by a token.
	newB := w.start(w.config("b"))
	w.await("b is missed", func() error {
		err := newB.Join(w.ctx(), []string{fresh.addr}, fresh.token(state.TokenSpec{}))
		return err
	})
	w.agreed(fresh, newB)
}

// TestRemovedMayNotRecover: a node that was removed does not rebuild the
// cluster from itself, and nobody follows one that does.
func TestRemovedMayNotRecover(t *testing.T) {
	w := newWorld(t)
	all := w.form(3)
	w.voters(3, all...)
	w.must(func() error { return all[0].Remove(w.ctx(), all[1].ID(), false) })
	w.await("it knows", func() error {
		if !all[1].current.Load().removed() {
			return errors.New("not yet")
		}
		return nil
	})
	_, err := all[1].Recover(w.ctx(), state.RecoverSpec{})
	if !errors.Is(err, state.ErrRecoverRefused) || !errors.Is(err, state.ErrNodeRemoved) {
		t.Errorf("recover at a removed node: %v", err)
	}
}
