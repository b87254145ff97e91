package cluster

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/mccd/mccd/ring"
)

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

// registerGauges shows what is asked of c at each scrape.
func (c *Cluster) registerGauges() {
	f := promauto.With(c.cfg.Registerer)
	gauge := func(name, help string, of func(*membership) float64) {
		f.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return of(c.current.Load()) })
	}
	gauge("mccd_cluster_quorum", "1 while this node knows a leader, so that the configuration can be written, else 0.", func(m *membership) float64 {
		if m.raft == nil {
			return 0
		}
		q := m.raft.Quorum()
		return one(q.HasLeader && q.Halted == nil)
	})
	gauge("mccd_cluster_epoch_index", "Index of the placement that this node uses.", func(*membership) float64 {
		return float64(c.View().Epoch.Index)
	})
	gauge("mccd_cluster_generation", "Recovery generation of the placement that this node uses.", func(*membership) float64 {
		return float64(c.View().Epoch.Generation)
	})
	gauge("mccd_cluster_certificate_expiry_seconds", "Time until this node's certificate expires; it is renewed by itself when a third is left.",
		func(m *membership) float64 { return m.certificate.Load().Leaf.NotAfter.Sub(c.cfg.Now()).Seconds() })
	gauge("mccd_cluster_joining", "1 while this node enters a cluster, else 0.", func(m *membership) float64 {
		return one(m.joining.Load() || m.entering.Load() || m.raft == nil)
	})
	gauge("mccd_cluster_refused", "1 while its cluster refuses this node, since it was removed, else 0.", func(m *membership) float64 {
		return one(m.removed())
	})
}

func one(b bool) float64 {
	if b {
		return 1
	}
	return 0
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
