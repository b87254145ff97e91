package consensus

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"github.com/hashicorp/raft"
)

// Quorum returns where this node and its cluster stand. It does not block.
func (c *Consensus) Quorum() Quorum {
	st, seen, halted := c.machine.now()
	q := Quorum{Applied: max(seen, st.Index), Halted: halted, Since: time.Since(c.opened)}
	r := c.raft.Load()
	if r == nil {
		q.Applied = c.shown.Load().Index
		return q
	}
	q.Leader, q.HasLeader = c.Leader()
	switch last := r.LastContact(); {
	case r.State() == raft.Leader:
		q.Since = 0
	case !last.IsZero():
		q.Since = time.Since(last)
	}
	q.Commit, q.LastIndex, q.Term = r.CommitIndex(), r.LastIndex(), r.CurrentTerm()
	q.Servers = servers(r)
	for _, s := range q.Servers {
		if s.Suffrage == Voter {
			q.Voters = append(q.Voters, s.ID)
			q.Voter = q.Voter || s.ID == c.cfg.ID
		}
	}
	return q
}

// servers returns Raft's servers, by id.
func servers(r *raft.Raft) []Server {
	f := r.GetConfiguration()
	if f.Error() != nil {
		return nil
	}
	return serversOf(f.Configuration())
}

func serversOf(configuration raft.Configuration) []Server {
	var all []Server
	for _, s := range configuration.Servers {
		suffrage := Nonvoter
		if s.Suffrage == raft.Voter {
			suffrage = Voter
		}
		all = append(all, Server{ID: string(s.ID), Suffrage: suffrage})
	}
	slices.SortFunc(all, func(a, b Server) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

// Stats returns this node's own, for the leader's choice of voters.
func (c *Consensus) Stats() Stats {
	r := c.raft.Load()
	if r == nil {
		return Stats{LastContact: -1}
	}
	s := Stats{LastIndex: r.LastIndex(), LastContact: -1}
	s.LastTerm, _ = strconv.ParseUint(r.Stats()["last_log_term"], 10, 64)
	if _, _, halted := c.machine.now(); halted != nil {
		return s
	}
	if last := r.LastContact(); r.State() == raft.Leader {
		s.LastContact = 0
	} else if !last.IsZero() {
		s.LastContact = time.Since(last)
	}
	return s
}
