package admin

import (
	"fmt"
	"math"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/mccd/mccd/cluster/state"
	adminv1 "github.com/mccd/mccd/proto/mccd/admin/v1"
)

// FromCluster returns the cluster's part of a Status.
func FromCluster(s state.ClusterStatus) (ClusterInfo, []Node) {
	c := ClusterInfo{
		ID: s.ClusterID, Epoch: fmt.Sprintf("%d.%d", s.Epoch.Generation, s.Epoch.Index),
		LeaderID: s.LeaderID, LeaderName: s.LeaderName, Role: string(s.Role),
		Quorum:       Quorum{OK: s.Quorum.OK, Reason: s.Quorum.Reason, Seconds: s.Quorum.For.Seconds()},
		AppliedIndex: s.AppliedIndex, ConfigRevision: s.ConfigRevision,
	}
	if j := s.Join; j != nil {
		c.Join = &JoinProgress{Peers: j.Peers, Step: j.Step, Error: j.Error, Seconds: j.For.Seconds()}
	}
	nodes := make([]Node, len(s.Nodes))
	for i, n := range s.Nodes {
		r := n.Node
		nodes[i] = Node{
			ID: r.ID, Name: r.Name, Zone: r.Zone, PeerAddr: r.PeerAddr, GossipAddr: r.GossipAddr,
			State: n.Alive, Stage: r.State.String(), Self: n.Self, Weight: r.Weight, Owned: n.Owned,
			Voter: n.Voter, Leader: n.Leader, DriveBytes: r.DriveBytes, Release: r.Release,
			Incarnation: n.Incarnation,
		}
		if n.Alive == "" {
			nodes[i].State = "none"
		}
		if r.State == state.Left && r.Removed {
			nodes[i].Stage = "removed"
		}
		if r.CertNotAfter != 0 {
			nodes[i].CertificateEnd = time.Unix(r.CertNotAfter, 0).UTC()
		}
	}
	return c, nodes
}

// stages are the words of NodeStage, by its numbers.
func stages() []string {
	return []string{"", "pre-created", "joining", "active", "draining", "left", "removed"}
}

// roles are the words of Role, by its numbers.
func roles() []string {
	return []string{"", string(state.RoleLeader), string(state.RoleVoter), string(state.RoleFollower), string(state.RoleNone)}
}

// keys are the words of Key, by its numbers.
func keys() []string { return []string{"", "gossip", "sealing", "ca"} }

// number returns where word stands in words, 0 where it does not.
func number[E ~int32](words []string, word string) E {
	for i, w := range words {
		if w == word {
			return E(i)
		}
	}
	return 0
}

// word is the reverse of number.
func word[E ~int32](words []string, e E) string {
	if e < 0 || int(e) >= len(words) {
		return words[0]
	}
	return words[e]
}

func keyToProto(what string) adminv1.Key  { return number[adminv1.Key](keys(), what) }
func keyFromProto(key adminv1.Key) string { return word(keys(), key) }

func nodesToProto(nodes []Node) []*adminv1.Node {
	var ps []*adminv1.Node
	for _, n := range nodes {
		p := &adminv1.Node{
			Id: n.ID, Name: n.Name, Zone: n.Zone, PeerAddr: n.PeerAddr, GossipAddr: n.GossipAddr,
			State: stateToProto(n.State), Self: n.Self, Owned: n.Owned, Stage: number[adminv1.NodeStage](stages(), n.Stage),
			Weight: int32(n.Weight), Voter: n.Voter, Leader: n.Leader, DriveBytes: n.DriveBytes, Release: n.Release,
			Incarnation: n.Incarnation,
		}
		if !n.CertificateEnd.IsZero() {
			p.CertificateEnd = timestamppb.New(n.CertificateEnd)
		}
		ps = append(ps, p)
	}
	return ps
}

func nodesFromProto(ps []*adminv1.Node) []Node {
	var nodes []Node
	for _, p := range ps {
		n := Node{
			ID: p.GetId(), Name: p.GetName(), Zone: p.GetZone(), PeerAddr: p.GetPeerAddr(), GossipAddr: p.GetGossipAddr(),
			State: stateFromProto(p.GetState()), Self: p.GetSelf(), Owned: p.GetOwned(), Stage: word(stages(), p.GetStage()),
			Weight: int(p.GetWeight()), Voter: p.GetVoter(), Leader: p.GetLeader(), DriveBytes: p.GetDriveBytes(), Release: p.GetRelease(),
			Incarnation: p.GetIncarnation(),
		}
		if t := p.GetCertificateEnd(); t.IsValid() {
			n.CertificateEnd = t.AsTime()
		}
		nodes = append(nodes, n)
	}
	return nodes
}

func clusterToProto(c ClusterInfo) *adminv1.Cluster {
	p := &adminv1.Cluster{
		Id: c.ID, LeaderId: c.LeaderID, LeaderName: c.LeaderName, Role: number[adminv1.Role](roles(), c.Role),
		Quorum:       &adminv1.Quorum{Ok: c.Quorum.OK, Reason: c.Quorum.Reason, Lasted: seconds(c.Quorum.Seconds)},
		AppliedIndex: c.AppliedIndex, ConfigRevision: c.ConfigRevision,
	}
	if _, err := fmt.Sscanf(c.Epoch, "%d.%d", &p.Generation, &p.Placement); err != nil {
		p.Generation, p.Placement = 0, 0
	}
	if j := c.Join; j != nil {
		p.Join = &adminv1.JoinProgress{Peers: j.Peers, Step: j.Step, Error: j.Error, Lasted: seconds(j.Seconds)}
	}
	return p
}

func clusterFromProto(p *adminv1.Cluster) ClusterInfo {
	q := p.GetQuorum()
	c := ClusterInfo{
		ID: p.GetId(), Epoch: fmt.Sprintf("%d.%d", p.GetGeneration(), p.GetPlacement()),
		LeaderID: p.GetLeaderId(), LeaderName: p.GetLeaderName(), Role: word(roles(), p.GetRole()),
		Quorum:       Quorum{OK: q.GetOk(), Reason: q.GetReason(), Seconds: q.GetLasted().AsDuration().Seconds()},
		AppliedIndex: p.GetAppliedIndex(), ConfigRevision: p.GetConfigRevision(),
	}
	if c.ID == "" {
		c.Epoch = ""
	}
	if j := p.GetJoin(); j != nil {
		c.Join = &JoinProgress{Peers: j.GetPeers(), Step: j.GetStep(), Error: j.GetError(), Seconds: j.GetLasted().AsDuration().Seconds()}
	}
	return c
}

func seconds(s float64) *durationpb.Duration {
	return durationpb.New(time.Duration(math.Round(s*1e3)) * time.Millisecond)
}
