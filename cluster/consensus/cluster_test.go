package consensus

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/mccd/mccd/cluster/state"
)

func TestClusterOfOne(t *testing.T) {
	g := newGroup(t)
	m := g.found(name(1))
	if m.State().ClusterID == "" {
		t.Error("the founded cluster is not shown at once")
	}
	first := g.do(state.SetConfig{Config: state.Config{Limits: state.Limits{RequestsPerOrigin: 3}}})
	if first.Revision == 0 || m.State().Config.Revision != first.Revision {
		t.Errorf("got %+v, state %+v", first, m.State().Config)
	}
	if _, err := m.Apply(context.Background(), state.SetConfig{Expect: 99}); !errors.Is(err, state.ErrConflict) {
		t.Errorf("a refused command: %v", err)
	}
	st, err := m.Read(context.Background())
	if err != nil || st.Config.Revision != first.Revision {
		t.Errorf("read %+v, %v", st, err)
	}
	before := m.State()
	g.stop(m.id)
	m = g.start(m.id, nil)
	if got := m.State(); got.Index != before.Index {
		t.Errorf("shown at the start: index %d, want %d", got.Index, before.Index)
	}
	g.do(state.SetConfig{Expect: first.Revision})
}

func TestVotersFollowMembers(t *testing.T) {
	g := newGroup(t)
	g.found(name(1))
	for i, votes := range []int{1, 3, 3, 5} {
		g.join(name(i + 2))
		if got := g.voters(votes); i == 0 && !slices.Equal(got, []string{name(1)}) {
			t.Errorf("with 2 nodes %v vote", got)
		}
	}
	g.same()
	// Two leave: first the leader.
	gone := g.leader().id
	g.do(state.RemoveNode{ID: gone})
	g.eventually("the leader is no server any more", func() bool {
		q := g.leader().Quorum()
		return g.leader().id != gone && len(q.Servers) == 4
	})
	if n, _ := g.nodes[gone].State().Node(gone); n.State != state.Left {
		t.Errorf("the node that left does not know: %+v", n)
	}
	g.stop(gone)
	g.voters(3)
	for id := range g.nodes {
		if !g.nodes[id].IsLeader() {
			g.do(state.RemoveNode{ID: id, Removed: true})
			g.eventually("three servers", func() bool { return len(g.leader().Quorum().Servers) == 3 })
			g.stop(id)
			break
		}
	}
	g.voters(3)
	g.same()
}

func TestDeadVoterIsReplaced(t *testing.T) {
	g := newGroup(t)
	g.grow(4)
	voters := g.voters(3)
	dead := g.leader().id
	g.stop(dead)
	g.eventually("another voter in its place", func() bool {
		q := g.leader().Quorum()
		return len(q.Voters) == 3 && !slices.Contains(q.Voters, dead)
	})
	if len(g.leader().Quorum().Servers) != 4 {
		t.Error("the dead server was removed from Raft, not its vote alone")
	}
	g.start(dead, nil)
	g.do(state.Locate{ID: dead, PeerAddr: "x:1"})
	if st := g.same(); len(st.Nodes) != 4 || len(voters) != 3 {
		t.Errorf("%d nodes", len(st.Nodes))
	}
}

func TestZones(t *testing.T) {
	g := newGroup(t)
	for i, zone := range []string{"a", "a", "a", "b", "c"} {
		g.zones[name(i+1)] = zone
	}
	g.found(name(1))
	for i := 2; i <= 5; i++ {
		m := name(i)
		g.do(state.Admit{TokenHash: tokenHash(), Node: record(m, g.zones[m])})
		g.start(m, func(cfg *Config) { cfg.MaxVoters = 3 })
	}
	// Votes are given once: three of them, in three zones.
	g.stop(name(1))
	g.start(name(1), func(cfg *Config) { cfg.MaxVoters = 3 })
	for i := 2; i <= 5; i++ {
		g.do(state.Activate{ID: name(i)})
	}
	g.eventually("one voter in each zone", func() bool {
		zones := make(map[string]bool)
		q := g.leader().Quorum()
		for _, id := range q.Voters {
			zones[g.zones[id]] = true
		}
		return len(q.Voters) == 3 && len(zones) == 3
	})
}

func TestWithoutQuorum(t *testing.T) {
	g := newGroup(t)
	g.grow(3)
	before := g.same()
	leader := g.leader()
	for id := range g.nodes {
		if id != leader.id {
			g.stop(id)
		}
	}
	begin := time.Now()
	_, err := leader.Apply(context.Background(), state.SetConfig{})
	if err == nil || time.Since(begin) > 10*time.Second {
		t.Fatalf("a write without a quorum: %v", err)
	}
	g.eventually("the leader knows that it is none", func() bool { return !leader.IsLeader() })
	_, err = leader.Apply(context.Background(), state.SetConfig{})
	if !errors.Is(err, state.ErrNoQuorum) {
		t.Errorf("a write without a leader: %v", err)
	}
	if _, err := leader.Read(context.Background()); !errors.Is(err, state.ErrNoQuorum) {
		t.Errorf("a read without a leader: %v", err)
	}
	if leader.State().Placement != before.Placement || leader.Quorum().HasLeader {
		t.Error("the state went with the quorum")
	}
}

func TestPartitionHeals(t *testing.T) {
	g := newGroup(t)
	g.grow(5)
	old := g.leader()
	var minority []string
	for id := range g.nodes {
		if id != old.id && len(minority) == 0 {
			minority = append(minority, id, old.id)
		}
	}
	g.fabric.part(1, minority...)
	g.eventually("the minority has no leader", func() bool { return !old.IsLeader() })
	if _, err := old.Apply(context.Background(), state.SetConfig{}); !errors.Is(err, state.ErrNoQuorum) {
		t.Errorf("a write at the minority: %v", err)
	}
	result := g.do(state.SetConfig{Config: state.Config{Limits: state.Limits{RequestsPerOrigin: 7}}})
	g.fabric.part(0, minority...)
	if st := g.same(); st.Config.Revision != result.Revision {
		t.Errorf("after the healing: revision %d, want %d", st.Config.Revision, result.Revision)
	}
	g.voters(5)
}

func TestAllRestart(t *testing.T) {
	g := newGroup(t)
	g.grow(5)
	want := g.same()
	for i := 1; i <= 5; i++ {
		g.stop(name(i))
	}
	for _, i := range []int{4, 2, 5, 1, 3} {
		m := g.start(name(i), nil)
		if got := m.State(); got.Index < want.Index {
			t.Errorf("node %d starts with index %d, want %d", i, got.Index, want.Index)
		}
	}
	result := g.do(state.SetConfig{Config: state.Config{Limits: state.Limits{RequestsPerOrigin: 1}}})
	g.eventually("all have it", func() bool { return g.same().Config.Revision == result.Revision })
	g.voters(5)
}
