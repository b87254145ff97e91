package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mccd/mccd/cluster"
	"github.com/mccd/mccd/cluster/admin"
	"github.com/mccd/mccd/cluster/state"
	"github.com/mccd/mccd/gateway/ops"
	"github.com/mccd/mccd/ring"
	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/disk"
)

// ID returns the node's id.
func (n *Node) ID() string { return n.cluster.ID() }

// Addr returns the address where clients ask.
func (n *Node) Addr() string { return n.gateway.Addr().String() }

// HTTPSAddr returns the address where https clients ask, empty while there is
// none.
func (n *Node) HTTPSAddr() string { return n.servedTLS().Addr }

// servedTLS tells what https clients are served with.
func (n *Node) servedTLS() state.ServedTLS {
	if h := n.serving.Load(); h != nil {
		return *h.served.Load()
	}
	return state.ServedTLS{}
}

// OpsAddr returns the address of the operators' HTTP, empty when there is none.
func (n *Node) OpsAddr() string {
	if n.ops == nil {
		return ""
	}
	return n.ops.Addr().String()
}

// Cluster returns the node's part in its cluster.
func (n *Node) Cluster() *cluster.Cluster { return n.cluster }

// GossipAddr returns the address of the node's gossip.
func (n *Node) GossipAddr() string { return n.cluster.GossipAddr() }

// PeerAddr returns the address between nodes: what others join and fill from.
func (n *Node) PeerAddr() string { return n.peerAddr }

// Status tells how the node is, for the admin service.
func (n *Node) Status(ctx context.Context) (admin.Status, error) {
	view := n.cluster.View()
	totals := n.gateway.Totals()
	stats := n.store.Stats()
	s := admin.Status{
		NodeID: n.cluster.ID(), Name: n.cfg.Name, Zone: n.cfg.Zone, Version: n.cfg.Version, Started: n.started,
		ViewDigest: fmt.Sprintf("%016x", view.Digest()), ViewSerial: view.Serial,
		Addresses: []admin.Address{
			{Purpose: "clients", Address: n.Addr()}, {Purpose: "peers", Address: n.peerAddr},
			{Purpose: "gossip", Address: n.GossipAddr()},
		},
		Cache: admin.Cache{
			HitBytes: totals.Hit, PeerBytes: totals.Peer, MissBytes: totals.Origin, Requests: totals.Requests,
			OriginBytes: n.filler.OriginBytes(), Flights: int64(n.filler.Flights()),
		},
	}
	if addr := n.HTTPSAddr(); addr != "" {
		s.Addresses = slices.Insert(s.Addresses, 1, admin.Address{Purpose: "https", Address: addr})
	}
	if n.ops != nil {
		s.Addresses = append(s.Addresses, admin.Address{Purpose: "operators", Address: n.OpsAddr()})
	}
	if n.admin != nil {
		s.Addresses = append(s.Addresses, admin.Address{Purpose: "admin", Address: n.cfg.AdminSocket})
	}
	cs, err := n.cluster.ClusterStatus(ctx)
	if err != nil {
		return s, err
	}
	s.Cluster, s.Nodes = admin.FromCluster(cs)
	s.Drives = driveStatus(stats)
	s.Warnings = append(n.warnings(stats, s.Nodes), cs.Warnings...)
	return s, nil
}

func (n *Node) warnings(stats disk.Stats, nodes []admin.Node) []string {
	out := n.driveWarnings(stats)
	if stats.MemBytes > 0 {
		out = append(out, fmt.Sprintf("%d bytes of chunks are in memory because no drive took them; they are lost at a restart", stats.MemBytes))
	}
	for _, m := range nodes {
		if m.State == "failed" {
			out = append(out, fmt.Sprintf("node %s does not answer; its successors act for it", m.Name))
		}
	}
	out = append(out, n.https.warnings(time.Now())...)
	if n.draining.Load() {
		out = append(out, "this node is stopping")
	}
	return out
}

func (n *Node) probeDraining(context.Context) error {
	if n.draining.Load() {
		return errors.New("the node is stopping")
	}
	return nil
}

// joinTime bounds how long a node that was told to join others is not ready
// while it is alone: after it, alone is better than not at all.
const joinTime = 10 * time.Second

// probeJoined fails while the node was told to join others and has not found
// them yet: what it served now it would fetch a second time.
func (n *Node) probeJoined(context.Context) error {
	if len(n.cfg.Join) == 0 || len(n.cluster.View().Nodes()) > 1 || time.Since(n.started) > joinTime {
		return nil
	}
	return errors.New("not joined yet")
}

// probeStorage fails when nothing can be stored any more, not even in memory.
func (n *Node) probeStorage(context.Context) error {
	stats := n.store.Stats()
	for _, d := range stats.Drives {
		if d.State == disk.StateOK {
			return nil
		}
	}
	if stats.MemBytes < stats.MemLimit {
		return nil
	}
	return errors.New("no drive takes content and memory is full")
}

func (n *Node) summary() ops.Summary {
	t := n.gateway.Totals()
	return ops.Summary{
		HitBytes: t.Hit + t.Peer, MissBytes: t.Origin + t.Passed,
		EgressBytes: t.Hit + t.Peer + t.Origin + t.Passed,
	}
}

// View returns the node's present picture of the cluster.
func (n *Node) View() *ring.View { return n.cluster.View() }

// Stats returns what the node's drives hold and have met.
func (n *Node) Stats() disk.Stats { return n.store.Stats() }

// Held calls yield with each chunk on the node's drives and its blocks, until
// yield returns false.
func (n *Node) Held(yield func(storage.ChunkKey, disk.Bitmap) bool) { n.store.Keys(yield) }

// Chunk opens a chunk that the node holds, for tests that look into it. The
// caller releases it.
func (n *Node) Chunk(key storage.ChunkKey) (*disk.Chunk, error) { return n.store.Lookup(key) }

// Metrics gives the node's metrics.
func (n *Node) Metrics() prometheus.Gatherer { return n.registry }
