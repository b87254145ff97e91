package consensus

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/hashicorp/raft"
	autopilot "github.com/hashicorp/raft-autopilot"

	"github.com/mccd/mccd/cluster/state"
)

// trailing is how many entries a node may be behind and yet be well.
const trailing = 512

// steer follows the leadership until ctx ends. At the leader, once it has
// applied what its predecessors agreed, autopilot moves the votes and servers
// come and go as the State says.
func (c *Consensus) steer(ctx context.Context, r *raft.Raft) {
	pilot := autopilot.New(r, &delegate{c, ctx}, autopilot.WithPromoter(&promoter{c}), autopilot.WithLogger(c.library),
		autopilot.WithUpdateInterval(c.cfg.Timing.Reconcile/2), autopilot.WithReconcileInterval(c.cfg.Timing.Reconcile))
	ticker := time.NewTicker(c.cfg.Timing.Reconcile)
	defer ticker.Stop()
	leading := false
	parting := make(map[string]time.Time)
	stop := func() {
		if leading {
			<-pilot.Stop()
			leading = false
		}
	}
	defer stop()
	for {
		switch leads := r.State() == raft.Leader; {
		case !leads:
			stop()
		case !leading:
			// Until then the State may lack nodes that Raft has.
			if c.await(ctx, r.Barrier(c.cfg.Timing.Apply)) == nil {
				pilot.Start(ctx)
				leading = true
				c.reconcile(ctx, r, pilot, parting)
			}
		default:
			c.reconcile(ctx, r, pilot, parting)
		}
		select {
		case <-ctx.Done():
			return
		case <-r.LeaderCh():
			c.changed()
		case <-c.wake:
		case <-ticker.C:
		}
	}
}

// reconcile makes Raft's servers those that the State names: one that joins is
// added without a vote, one that left is taken out once it has none, an
// interval later, so that it learns from the log that it left. parting is since
// when servers are to go.
func (c *Consensus) reconcile(ctx context.Context, r *raft.Raft, pilot *autopilot.Autopilot, parting map[string]time.Time) {
	st, _, halted := c.machine.now()
	if halted != nil {
		c.giveWay(ctx, r, pilot)
		return
	}
	if st.ClusterID == "" {
		return
	}
	present := make(map[string]Suffrage)
	for _, s := range servers(r) {
		present[s.ID] = s.Suffrage
	}
	for _, n := range st.Nodes {
		if !belongs(n) {
			continue
		}
		if _, ok := present[n.ID]; !ok {
			c.reconfigure(ctx, "add a server", n.ID, r.AddNonvoter(raft.ServerID(n.ID), raft.ServerAddress(n.ID), 0, c.cfg.Timing.Apply))
		}
		delete(present, n.ID)
	}
	maps.DeleteFunc(parting, func(id string, _ time.Time) bool { _, still := present[id]; return !still })
	for id, suffrage := range present {
		if parting[id].IsZero() {
			parting[id] = time.Now()
		}
		// A voter loses its vote first, once another has one in its place.
		if suffrage == Nonvoter && time.Since(parting[id]) >= c.cfg.Timing.Reconcile {
			c.reconfigure(ctx, "remove a server", id, r.RemoveServer(raft.ServerID(id), 0, c.cfg.Timing.Apply))
			c.trans.Load().release(raft.ServerID(id))
		}
	}
}

// giveWay hands the leadership of a halted node to a voter that is well, which
// one that has halted is not.
func (c *Consensus) giveWay(ctx context.Context, r *raft.Raft, pilot *autopilot.Autopilot) {
	for id, server := range pilot.GetState().Servers {
		if string(id) == c.cfg.ID || !server.HasVotingRights() || !server.Health.Healthy {
			continue
		}
		if err := c.await(ctx, r.LeadershipTransferToServer(id, raft.ServerAddress(id))); err != nil {
			c.log.Info("a halted leader could not hand over", "node", string(id), "err", err)
		}
		return
	}
}

// belongs reports whether a node of the State is to be a server of Raft.
func belongs(n state.Node) bool {
	return n.ID != "" && (n.State == state.Joining || n.Member())
}

func (c *Consensus) reconfigure(ctx context.Context, what, id string, f raft.Future) {
	if err := c.await(ctx, f); err != nil {
		c.log.Info("Raft's servers are not as they should be yet", "step", what, "node", id, "err", err)
		return
	}
	c.log.Info("changed Raft's servers", "step", what, "node", id)
}

// delegate tells autopilot what it asks.
type delegate struct {
	c *Consensus
	// ctx ends with the steering; the library's own is too short for a busy
	// machine.
	ctx context.Context //nolint:containedctx // see above
}

func (d *delegate) AutopilotConfig() *autopilot.Config {
	t := d.c.cfg.Timing
	return &autopilot.Config{LastContactThreshold: 2 * t.Heartbeat, MaxTrailingLogs: trailing, ServerStabilizationTime: t.StableFor}
}

func (d *delegate) NotifyState(*autopilot.State) {}

// KnownServers are the nodes that the State names.
func (d *delegate) KnownServers() map[raft.ServerID]*autopilot.Server {
	known := make(map[raft.ServerID]*autopilot.Server)
	st, _, _ := d.c.machine.now()
	for _, n := range st.Nodes {
		if !belongs(n) {
			continue
		}
		status := autopilot.NodeAlive
		if n.ID != d.c.cfg.ID && d.c.cfg.Alive != nil && !d.c.cfg.Alive(n.ID) {
			status = autopilot.NodeFailed
		}
		known[raft.ServerID(n.ID)] = &autopilot.Server{
			ID: raft.ServerID(n.ID), Name: n.Name, Address: raft.ServerAddress(n.ID), NodeStatus: status,
			IsLeader: n.ID == d.c.cfg.ID && d.c.IsLeader(),
		}
	}
	return known
}

// FetchServerStats asks all nodes at once. One that does not answer is not
// well, whatever it said before.
func (d *delegate) FetchServerStats(_ context.Context, known map[raft.ServerID]*autopilot.Server) map[raft.ServerID]*autopilot.ServerStats {
	ctx, cancel := context.WithTimeout(d.ctx, max(d.c.cfg.Timing.Reconcile, d.c.cfg.Timing.Heartbeat))
	defer cancel()
	var mu sync.Mutex
	var asked sync.WaitGroup
	all := make(map[raft.ServerID]*autopilot.ServerStats, len(known))
	for id, server := range known {
		asked.Go(func() {
			s := Stats{LastContact: -1}
			switch {
			case string(id) == d.c.cfg.ID:
				s = d.c.Stats()
			case d.c.cfg.Stats != nil && server.NodeStatus == autopilot.NodeAlive:
				if got, err := d.c.cfg.Stats(ctx, string(id)); err == nil {
					s = got
				}
			}
			mu.Lock()
			defer mu.Unlock()
			all[id] = &autopilot.ServerStats{LastContact: s.LastContact, LastTerm: s.LastTerm, LastIndex: s.LastIndex}
		})
	}
	asked.Wait()
	return all
}

// RemoveFailedServer is never called: the clean-up is off. Who fails stays a
// server until its record says that it left.
func (d *delegate) RemoveFailedServer(*autopilot.Server) {}

// promoter makes plan's choice autopilot's.
type promoter struct{ c *Consensus }

func (p *promoter) CalculatePromotionsAndDemotions(conf *autopilot.Config, s *autopilot.State) autopilot.RaftChanges {
	st, _, _ := p.c.machine.now()
	now, t := time.Now(), p.c.cfg.Timing
	var all []candidate
	for id, server := range s.Servers {
		n, ok := st.Node(string(id))
		if !ok {
			n = &state.Node{}
		}
		changed := now.Sub(server.Health.StableSince)
		all = append(all, candidate{
			id: string(id), zone: n.Zone, member: n.Member(), draining: n.State == state.Draining, voter: server.HasVotingRights(), leader: id == s.Leader,
			live: server.Health.Healthy, stable: server.Health.IsStable(now, s.ServerStabilizationTime(conf)),
			settled: server.Health.IsStable(now, 3*t.DeadAfter), dead: !server.Health.Healthy && changed >= t.DeadAfter,
			since: server.Health.StableSince,
		})
	}
	m := plan(all, p.c.cfg.MaxVoters)
	changes := autopilot.RaftChanges{Leader: raft.ServerID(m.leader)}
	for _, id := range m.promote {
		changes.Promotions = append(changes.Promotions, raft.ServerID(id))
	}
	for _, id := range m.demote {
		changes.Demotions = append(changes.Demotions, raft.ServerID(id))
	}
	return changes
}

func (p *promoter) GetServerExt(*autopilot.Config, *autopilot.ServerState) any { return nil }
func (p *promoter) GetStateExt(*autopilot.Config, *autopilot.State) any        { return nil }
func (p *promoter) GetNodeTypes(*autopilot.Config, *autopilot.State) map[raft.ServerID]autopilot.NodeType {
	return nil
}
func (p *promoter) IsPotentialVoter(autopilot.NodeType) bool { return true }

// FilterFailedServerRemovals lets nobody be removed.
func (p *promoter) FilterFailedServerRemovals(*autopilot.Config, *autopilot.State, *autopilot.FailedServers) *autopilot.FailedServers {
	return &autopilot.FailedServers{}
}
