package consensus

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/mccd/mccd/cluster/state"
)

// newerCommand is what a release of tomorrow may write.
func newerCommand() []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), state.Format+1)
}

func TestHalts(t *testing.T) {
	g := newGroup(t)
	g.grow(3)
	want := g.same()
	g.eventually("a leader takes it", func() bool { return g.leader().raft.Load().Apply(newerCommand(), 0).Error() == nil })
	for _, m := range g.nodes {
		g.eventually("a halt", func() bool { return m.Quorum().Halted != nil })
		if q := m.Quorum(); !errors.Is(q.Halted, ErrHalted) || !errors.Is(q.Halted, state.ErrVersion) {
			t.Errorf("halted by %v", q.Halted)
		}
		if m.State().Index != want.Index || m.Stats().LastContact >= 0 {
			t.Errorf("index %d, stats %+v", m.State().Index, m.Stats())
		}
	}
	var leader *member
	for what, ask := range map[string]func() error{
		"a write": func() error { _, err := leader.Apply(t.Context(), state.SetConfig{}); return err },
		"a read":  func() error { _, err := leader.Read(t.Context()); return err },
	} {
		var err error
		g.eventually(what+" at a leader", func() bool {
			leader = g.leader()
			err = ask()
			_, elsewhere := errors.AsType[*NotLeaderError](err)
			return !elsewhere
		})
		if !errors.Is(err, ErrHalted) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := leader.raft.Load().Snapshot().Error(); err == nil {
		t.Error("a snapshot was taken of what was not applied")
	}
	id := leader.id
	g.stop(id)
	m := g.start(id, nil)
	if m.State().Index != want.Index {
		t.Errorf("index %d after a restart", m.State().Index)
	}
	g.eventually("a halt again", func() bool { return m.Quorum().Halted != nil })
	for _, n := range []string{name(1), name(2), name(3)} {
		g.stop(n)
	}
	if _, err := g.recoverAt(id); !errors.Is(err, ErrHalted) {
		t.Errorf("a recovery: %v", err)
	}
}

// TestHaltedGivesWay has a cluster whose leader alone cannot read an entry.
func TestHaltedGivesWay(t *testing.T) {
	g := newGroup(t)
	g.grow(3)
	g.same()
	leader := g.leader()
	leader.machine.mu.Lock()
	leader.machine.halted = fmt.Errorf("%w: for the test", ErrHalted)
	leader.machine.mu.Unlock()
	g.eventually("another leader", func() bool { return g.leader().id != leader.id })
	g.do(state.SetConfig{})
}

func TestSnapshotBringsANewNode(t *testing.T) {
	g := newGroup(t)
	m := g.found(name(1))
	var revision uint64
	for range 5 {
		revision = g.do(state.SetConfig{Expect: revision}).Revision
	}
	r := m.raft.Load()
	reload := r.ReloadableConfig()
	reload.TrailingLogs = 1
	if err := r.ReloadConfig(reload); err != nil {
		t.Fatal(err)
	}
	if err := r.Snapshot().Error(); err != nil {
		t.Fatal(err)
	}
	if first, err := m.store.FirstIndex(); err != nil || first < 3 {
		t.Fatalf("the log begins at %d: %v", first, err)
	}
	joined := g.join(name(2))
	if st := g.same(); st.Config.Revision != revision || joined.State().ClusterID == "" {
		t.Errorf("revision %d, want %d", st.Config.Revision, revision)
	}
	// And it starts from its own.
	g.stop(name(2))
	g.start(name(2), nil)
	g.do(state.SetConfig{Expect: revision})
	g.same()
}

func TestStopWhileApplying(t *testing.T) {
	g := newGroup(t)
	g.grow(3)
	var (
		leader *member
		mu     sync.Mutex
		wg     sync.WaitGroup
	)
	acked := make(map[string]bool)
	g.eventually("a leader takes 20 in a row", func() bool {
		leader = g.leader()
		taken, ended := make(chan struct{}, 20), make(chan struct{})
		for w := range 4 {
			wg.Go(func() {
				for i := 0; ; i++ {
					id := fmt.Sprintf("job %d %d", w, i)
					if _, err := leader.Apply(context.Background(), state.SetJob{Job: state.Job{ID: id}}); err != nil {
						return
					}
					mu.Lock()
					acked[id] = true
					mu.Unlock()
					select {
					case taken <- struct{}{}:
					default:
					}
				}
			})
		}
		go func() { wg.Wait(); close(ended) }()
		for range cap(taken) {
			select {
			case <-taken:
			case <-ended: // it leads no more
				return false
			}
		}
		return true
	})
	g.stop(leader.id)
	wg.Wait()
	g.do(state.SetConfig{})
	have := make(map[string]bool)
	for _, j := range g.leader().State().Jobs {
		have[j.ID] = true
	}
	for id := range acked {
		if !have[id] {
			t.Errorf("%s was acknowledged and is lost", id)
		}
	}
	g.start(leader.id, nil)
	g.same()
}

func TestOpenTwice(t *testing.T) {
	g := newGroup(t)
	m := g.found(name(1))
	g.leader()
	if err := m.Run(t.Context()); err == nil {
		t.Error("a second Run")
	}
	cfg := g.config(name(1))
	if _, err := New(cfg); err == nil {
		t.Error("a folder in use was opened")
	}
	g.stop(name(1))
	other := g.open(name(1), nil)
	if _, err := other.Apply(t.Context(), state.SetConfig{}); !errors.Is(err, state.ErrNoQuorum) {
		t.Errorf("a write before Run: %v", err)
	}
	if q := other.Quorum(); q.Applied == 0 || q.HasLeader {
		t.Errorf("got %+v", q)
	}
}

func TestDamagedStateFile(t *testing.T) {
	g := newGroup(t)
	g.found(name(1))
	want := g.do(state.SetConfig{})
	g.stop(name(1))
	file := filepath.Join(g.dir, name(1), "state")
	if err := os.WriteFile(file, []byte("MCCDSTA1 not at all"), 0o600); err != nil {
		t.Fatal(err)
	}
	m := g.start(name(1), nil)
	g.eventually("the state comes from the log", func() bool { return m.State().Config.Revision == want.Revision })
	if _, err := os.Stat(file + ".damaged"); err != nil {
		t.Error(err)
	}
	g.stop(name(1))
	st := *m.State()
	b := sealState(&st)
	if got, err := openState(b); err != nil || got.Index != st.Index {
		t.Errorf("got %v", err)
	}
	for i := range b {
		flipped := append([]byte(nil), b...)
		flipped[i] ^= 4
		if _, err := openState(flipped); !errors.Is(err, state.ErrInvalid) {
			t.Fatalf("byte %d flipped: %v", i, err)
		}
	}
}

// TestReturnAfterLongAbsence has a node away for so long that the library
// would have backed off.
func TestReturnAfterLongAbsence(t *testing.T) {
	g := newGroup(t)
	g.grow(3)
	leader := g.leader()
	var away string
	for id := range g.nodes {
		if id != leader.id {
			away = id
		}
	}
	g.fabric.part(1, away)
	revision := uint64(0)
	for range 40 {
		revision = g.do(state.SetConfig{Expect: revision}).Revision
	}
	g.eventually("its vote is given up or kept", func() bool { return g.leader().Quorum().HasLeader })
	g.fabric.part(0, away)
	g.eventually("it has caught up", func() bool { return g.nodes[away].State().Config.Revision == revision })
}

func TestTransportHoldsUntilHeard(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	p := &patient{done: ctx, heard: make(map[raft.ServerID]chan struct{})}
	again := p.next("a")
	p.hear("b")
	p.hear("a")
	if !p.wait(again) {
		t.Error("it was heard")
	}
	cancel()
	if begin := time.Now(); p.wait(p.next("a")) || time.Since(begin) > patience/2 {
		t.Error("the end of Raft ends the wait")
	}
}
