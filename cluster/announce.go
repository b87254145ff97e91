package cluster

import (
	"context"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/mccd/mccd/cluster/state"
	clusterv1 "github.com/mccd/mccd/proto/mccd/cluster/v1"
)

// The waits of the announcing loop.
const (
	announceFirst, announceLast = time.Second, 30 * time.Second
	announceTimeout             = 3 * time.Second
	announceAtOnce              = 8
)

// announce tells other nodes over the port between nodes where this one is,
// and learns where they are, while a member does not answer by gossip: after a
// start on other addresses, after keys were rotated while it was away, after a
// long partition. It goes on, more and more rarely, until ctx is done.
//
// First it asks a member that does answer by gossip, and exchanges gossip with
// it: that a node is back elsewhere is passed on at random, and whom it misses
// would else learn it only at the next push/pull.
func (m *membership) announce(ctx context.Context) {
	wait := announceFirst
	for {
		missing, present := m.missing()
		if len(present) > 0 {
			m.announceTo(ctx, present)
			missing, _ = m.missing()
		}
		if len(missing) == 0 {
			wait = announceFirst
		} else if m.announceTo(ctx, missing) > 0 {
			wait = min(wait, 2*announceFirst)
		}
		timer := time.NewTimer(wait + rand.N(wait/10))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		wait = min(wait*3/2, announceLast)
	}
}

// missing returns where to ask for members that do not answer by gossip: their
// last addresses, and the names that the operator gave. present is one that does
// answer. Both are empty while everybody is there.
func (m *membership) missing() (out, present []callee) {
	alone, complete := true, true
	for _, id := range m.others() {
		addr, ok := m.where(id)
		alive := m.alive(id)
		alone, complete = alone && !alive, complete && alive
		switch {
		case ok && alive:
			present = append(present, callee{id, addr})
		case ok:
			out = append(out, callee{id, addr})
		}
	}
	if i := len(present); complete {
		present = nil
	} else if i > 0 {
		i = rand.IntN(i)
		present = present[i : i+1]
	}
	rand.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	out = out[:min(len(out), announceAtOnce)]
	if alone && (len(out) > 0 || m.entering.Load()) {
		for _, seed := range m.c.cfg.Join {
			if addr, err := withPort(seed); err == nil {
				out = append(out, callee{"", addr})
			}
		}
	}
	return out, present
}

// announceTo tells the nodes at to, and returns how many answered.
func (m *membership) announceTo(ctx context.Context, to []callee) (answered int) {
	results := make(chan bool, len(to))
	for _, at := range to {
		go func() { results <- m.announceOne(ctx, at) }()
	}
	for range to {
		if <-results {
			answered++
		}
	}
	if answered > 0 {
		m.book.save()
		m.wake()
	}
	return answered
}

func (m *membership) announceOne(ctx context.Context, at callee) bool {
	ctx, cancel := context.WithTimeout(ctx, announceTimeout)
	defer cancel()
	client, err := m.calls.to(at.id, at.addr)
	if err != nil {
		return false
	}
	st := m.state()
	answer, err := client.Announce(ctx, &clusterv1.AnnounceRequest{
		Address: addressToProto(m.c.id, m.own()), ClusterId: m.id.Load().ClusterID,
		Generation: st.Generation, RecoveryId: st.RecoveryID,
	})
	if err != nil {
		m.noteRefusal(err)
		m.c.log.Debug("announce this node", "at", at.addr, "err", err)
		return false
	}
	if answer.GetId() == m.c.id || answer.GetClusterId() != m.id.Load().ClusterID {
		return false
	}
	m.refused.Store(nil)
	m.book.hear(answer.GetId())
	m.sawGeneration(answer.GetId(), answer.GetGeneration(), answer.GetRecoveryId())
	var gossipAddrs []string
	for _, a := range answer.GetAddresses() {
		if a.GetId() == m.c.id {
			continue
		}
		if a.GetId() == answer.GetId() && at.id != "" {
			m.book.say(a.GetId(), placeFromProto(a)) // its certificate was checked
		} else {
			m.book.put(a.GetId(), placeFromProto(a))
		}
		if a.GetId() == answer.GetId() {
			gossipAddrs = append(gossipAddrs, a.GetGossipAddr())
		}
	}
	if m.gossip != nil && len(gossipAddrs) > 0 {
		if _, err := m.gossip.Join(ctx, gossipAddrs); err != nil {
			m.c.log.Debug("gossip with the node that answered", "at", gossipAddrs, "err", err)
		}
	}
	return true
}

// noteRefusal remembers that the cluster has taken this node out, where a
// member of it says so.
func (m *membership) noteRefusal(err error) {
	st := status.Convert(err)
	text := st.Message()
	if st.Code() != codes.PermissionDenied || text != state.ErrNodeRemoved.Error() {
		return // an expired certificate, a node that lags: it does not last
	}
	if old := m.refused.Swap(&text); old == nil {
		m.c.log.Error("the cluster refuses this node", "reason", text)
	}
}
