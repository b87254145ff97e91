package cluster

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/mccd/mccd/ring"
)

// NodeStatus is a member with what only status shows.
type NodeStatus struct {
	ring.Node
	// GossipAddr is "host:port" of its gossip.
	GossipAddr string
	// Self tells that it is this node.
	Self bool
	// Owned is its share of the partitions, between 0 and 1.
	Owned float64
}

// Nodes returns the members of the present View, in its order.
func (c *Cluster) Nodes() []NodeStatus {
	v := c.View()
	owned := make([]int, len(v.Nodes()))
	for p := range ring.Partitions {
		if order := v.Ring.At(p); len(order) > 0 {
			owned[order[0]]++
		}
	}
	addrs := make(map[string]string)
	for _, r := range c.dir.snapshot() {
		addrs[r.id] = r.gossipAddr
	}
	nodes := make([]NodeStatus, len(v.Nodes()))
	for i, n := range v.Nodes() {
		nodes[i] = NodeStatus{
			Node: n, GossipAddr: addrs[n.ID], Self: n.ID == c.id, Owned: float64(owned[i]) / ring.Partitions,
		}
	}
	return nodes
}

type metrics struct {
	nodes *prometheus.GaugeVec
	views prometheus.Counter
	rings prometheus.Counter
	last  uint64 // digest of the last View
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	return &metrics{
		nodes: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "mccd_cluster_nodes", Help: "Members of the cluster as this node sees them, by state.",
		}, []string{"state"}),
		views: f.NewCounter(prometheus.CounterOpts{
			Name: "mccd_cluster_views_total", Help: "Views published since the start.",
		}),
		rings: f.NewCounter(prometheus.CounterOpts{
			Name: "mccd_cluster_ring_changes_total", Help: "Changes of placement since the start, the first ring included.",
		}),
	}
}

// published is called by one goroutine at a time.
func (m *metrics) published(v *ring.View) {
	counts := make(map[ring.State]int)
	for _, n := range v.Nodes() {
		counts[n.State]++
	}
	for _, s := range []ring.State{ring.Alive, ring.Draining, ring.Failed} {
		m.nodes.WithLabelValues(s.String()).Set(float64(counts[s]))
	}
	m.views.Inc()
	if v.Digest() != m.last {
		m.last = v.Digest()
		m.rings.Inc()
	}
}
