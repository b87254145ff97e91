package consensus

import (
	"errors"
	"sync"
	"testing"

	"github.com/hashicorp/raft"

	"github.com/mccd/mccd/cluster/state"
)

// TestCandidateKnowsNoLeader: a node to which the leadership was handed over
// hears of its former leader once more, and then of nobody: it knows no leader,
// so that a write says so and a recovery is not refused.
func TestCandidateKnowsNoLeader(t *testing.T) {
	g := newGroup(t)
	g.grow(3)
	g.same()
	former, other, heir := name(1), name(2), g.nodes[name(3)]
	g.stop(former)
	g.stop(other)
	// Nobody else is there: the test speaks for the former leader.
	trans := heir.newTransport(newLayer(g.fabric.open(former), former))
	defer func() { _ = trans.Close() }()
	var (
		library = heir.raft.Load()
		header  = raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(former), Addr: []byte(former)}
		to, at  = raft.ServerID(heir.id), raft.ServerAddress(heir.id)
	)
	heartbeat := func(term uint64) {
		args := &raft.AppendEntriesRequest{RPCHeader: header, Term: term}
		_ = trans.AppendEntries(to, at, args, new(raft.AppendEntriesResponse))
	}
	// The heartbeat is to come between the hand-over and the next term.
	g.eventually("a candidate hears of its former leader", func() bool {
		term := library.CurrentTerm() + 1
		heartbeat(term)
		if err := trans.TimeoutNow(to, at, &raft.TimeoutNowRequest{RPCHeader: header}, new(raft.TimeoutNowResponse)); err != nil {
			return false
		}
		var wg sync.WaitGroup
		for range poolSize {
			wg.Go(func() {
				for i := 0; i < 20 && library.CurrentTerm() == term; i++ { // one that comes too early ends the candidature
					heartbeat(term)
				}
			})
		}
		wg.Wait()
		_, id := library.LeaderWithID()
		return id != "" && library.State() == raft.Candidate
	})
	if id, ok := heir.Leader(); ok {
		t.Errorf("a candidate says that %s leads", id)
	}
	if heir.Quorum().HasLeader {
		t.Error("so does its quorum")
	}
	if _, err := heir.Apply(t.Context(), state.SetConfig{}); !errors.Is(err, state.ErrNoQuorum) {
		t.Errorf("a write: %v", err)
	}
}
