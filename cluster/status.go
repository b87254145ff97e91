package cluster

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/mccd/mccd/cluster/state"
	"github.com/mccd/mccd/ring"
)

// joinState is what status tells of a join in progress.
type joinState struct {
	mu      sync.Mutex
	active  bool
	peers   []string
	now     string
	last    string
	started time.Time
}

func (j *joinState) begin(peers []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.active {
		j.started, j.last = time.Now(), ""
	}
	j.active, j.peers, j.now = true, peers, "starting"
}

func (j *joinState) step(what string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.now = what
}

func (j *joinState) end(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err == nil {
		j.active = false
		return
	}
	j.now, j.last = "waiting to try again", err.Error()
}

func (j *joinState) stop() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.active = false
}

func (j *joinState) status() *state.JoinStatus {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.active {
		return nil
	}
	return &state.JoinStatus{Peers: j.peers, Step: j.now, Error: j.last, For: time.Since(j.started)}
}

// ClusterStatus tells how the cluster is, as this node sees it.
func (c *Cluster) ClusterStatus(context.Context) (state.ClusterStatus, error) {
	m, v := c.current.Load(), c.View()
	st := m.state()
	s := state.ClusterStatus{
		ClusterID: st.ClusterID, Epoch: v.Epoch, Role: state.RoleNone, AppliedIndex: st.Index,
		ConfigRevision: st.Config.Revision, Join: c.joinState.status(),
	}
	voters := make(map[string]bool)
	if m.raft == nil {
		s.Quorum.Reason = "it waits for its cluster to be founded by the first of the names that it was told to join"
		s.Warnings = append(s.Warnings, "this node is in no cluster yet: "+s.Quorum.Reason)
	} else {
		m.raftStatus(st, &s, voters)
	}
	if s.Join == nil && m.entering.Load() {
		s.Join = &state.JoinStatus{Step: "waiting for its place in the cluster"}
	}
	owned := ownedShares(v)
	for _, n := range st.Nodes {
		ns := state.NodeStatus{Node: n, Self: n.ID == c.id, Voter: voters[n.ID], Leader: n.ID != "" && n.ID == s.LeaderID, Owned: owned[n.ID]}
		if seen, ok := v.ByID(n.ID); ok {
			ns.Alive, ns.Node.PeerAddr, ns.Incarnation = seen.State.String(), seen.PeerAddr, seen.Incarnation
		}
		if p, ok := m.book.of(n.ID); ok {
			ns.Node.PeerAddr, ns.Node.GossipAddr = p.Peer, p.Gossip
		}
		s.Nodes = append(s.Nodes, ns)
	}
	if why := m.refused.Load(); why != nil {
		s.Warnings = append(s.Warnings, "the cluster refuses this node: "+*why)
	}
	if own, ok := st.Node(c.id); ok && own.State == state.Left {
		s.Warnings = append(s.Warnings, "this node was removed from its cluster and serves alone: join again with a new token, or leave for good with mccd leave")
	}
	if id := m.forked.Load(); id != nil {
		s.Warnings = append(s.Warnings, fmt.Sprintf("node %s is of another recovery of the same generation: the cluster was recovered or restored twice; remove the data of all nodes of one side and join them anew", m.nameOf(*id)))
	}
	if !s.Quorum.OK && m.raft != nil {
		s.Warnings = append(s.Warnings, "nothing can be written to the cluster's configuration: "+s.Quorum.Reason+"; downloads go on")
	}
	return s, nil
}

// raftStatus fills in what Raft knows.
func (m *membership) raftStatus(st *state.State, s *state.ClusterStatus, voters map[string]bool) {
	q := m.raft.Quorum()
	for _, id := range q.Voters {
		voters[id] = true
	}
	for _, server := range q.Servers {
		if server.ID == m.c.id {
			s.Role = state.RoleFollower
		}
	}
	switch {
	case m.raft.IsLeader():
		s.Role = state.RoleLeader
	case voters[m.c.id]:
		s.Role = state.RoleVoter
	}
	if q.HasLeader {
		s.LeaderID, s.Quorum.OK = q.Leader, true
		if n, ok := st.Node(q.Leader); ok {
			s.LeaderName = n.Name
		}
	} else {
		alive := 0
		for id := range voters {
			if m.alive(id) {
				alive++
			}
		}
		s.Quorum.For = q.Since
		s.Quorum.Reason = fmt.Sprintf("no leader: %d of %d voters answer this node", alive, len(voters))
	}
	if q.Halted != nil {
		s.Quorum.OK = false
		s.Quorum.Reason = fmt.Sprintf("this node has stopped following the configuration: %v", q.Halted)
		s.Warnings = append(s.Warnings, s.Quorum.Reason)
	}
}

// ownedShares returns each member's share of the partitions.
func ownedShares(v *ring.View) map[string]float64 {
	count := make([]int, len(v.Nodes()))
	for p := range ring.Partitions {
		if order := v.Ring.At(p); len(order) > 0 {
			count[order[0]]++
		}
	}
	shares := make(map[string]float64, len(count))
	for i, n := range v.Nodes() {
		shares[n.ID] = float64(count[i]) / ring.Partitions
	}
	return shares
}
