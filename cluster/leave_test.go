package cluster

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/mccd/mccd/cluster/state"
)

// leaves has n leave and checks what is left of it.
func (w *world) leaves(n *member, rest ...*member) {
	w.t.Helper()
	was := n.State().ClusterID
	if err := w.firm(func() error { return n.Leave(w.ctx()) }); err != nil {
		w.t.Fatalf("%s leaves: %v", n.cfg.Name, err)
	}
	w.agreed(rest...)
	for _, m := range rest {
		m.writes()
		w.await("the vote is gone", func() error {
			if q := m.current.Load().raft.Quorum(); slices.Contains(q.Voters, n.ID()) {
				return fmt.Errorf("voters %v", q.Voters)
			}
			return nil
		})
	}
	if n.State().ClusterID == was || len(n.View().Nodes()) != 1 {
		w.t.Errorf("%s is in %s still, with %d nodes", n.cfg.Name, n.State().ClusterID, len(n.View().Nodes()))
	}
	n.writes()
	for _, name := range []string{formerFolder, freshFolder, joiningFolder} {
		if n.file(name) {
			w.t.Errorf("%s is left", name)
		}
	}
}

// TestLeaveOfTwo: whoever goes, the other can write.
func TestLeaveOfTwo(t *testing.T) {
	for _, who := range []string{"voter", "follower"} {
		t.Run(who, func(t *testing.T) {
			w := newWorld(t)
			all := w.form(2)
			leads, rest := w.leader(all...)
			if who == "voter" {
				w.leaves(leads, rest[0])
				return
			}
			w.leaves(rest[0], leads)
		})
	}
}

func TestLeaveOfThree(t *testing.T) {
	w := newWorld(t)
	all := w.form(3)
	w.voters(3, all...)
	leads, rest := w.leader(all...)
	w.leaves(leads, rest...)
	w.leaves(rest[0], rest[1])
	w.wants(rest[1].Leave(w.ctx()), "alone")
	// Back again, all of them.
	token := rest[1].token(state.TokenSpec{Uses: -1})
	for _, n := range []*member{leads, rest[0]} {
		n.joins(token, rest[1].addr)
	}
	w.agreed(all...)
}

// TestLeaveStays: the command line that brought a node in does not bring it
// back after it was told to leave; another token does, and so does a join.
func TestLeaveStays(t *testing.T) {
	w := newWorld(t)
	a := w.start(w.config("a"))
	cfg := w.config("b")
	cfg.Join, cfg.Token = []string{a.addr}, a.token(state.TokenSpec{Uses: -1})
	b := w.start(cfg)
	w.agreed(a, b)
	b.halt()
	b.restart()
	w.agreed(a, b)
	w.leaves(b, a)
	b.halt()
	b.restart()
	if _, ok, err := b.configured(); ok || err != nil {
		t.Errorf("the configuration brings it back: %t, %v", ok, err)
	}
	b.writes()
	if len(b.View().Nodes()) != 1 {
		t.Error("it is back")
	}
	b.joins(cfg.Token, a.addr)
	w.agreed(a, b)
	if b.file(memberFolder, leftFile) {
		t.Error("the mark is there still")
	}
	w.leaves(b, a)
	b.halt()
	b.cfg.Token = a.token(state.TokenSpec{})
	b.restart()
	w.agreed(a, b)
}

// TestLeaveWithoutQuorum: the node stays what it was.
func TestLeaveWithoutQuorum(t *testing.T) {
	w := newWorld(t)
	all := w.form(2)
	leads, rest := w.leader(all...)
	w.voters(1, all...)
	leads.halt()
	w.await("no leader", func() error {
		if s, _ := rest[0].ClusterStatus(w.ctx()); s.Quorum.OK {
			return errors.New("it has one")
		}
		return nil
	})
	before := rest[0].snapshot()
	err := rest[0].Leave(w.ctx())
	w.wants(err, "no quorum")
	if after := rest[0].snapshot(); after != before || rest[0].file(memberFolder, leavingFile) {
		t.Errorf("after %+v, before %+v", after, before)
	}
	leads.restart()
	w.agreed(all...)
}
