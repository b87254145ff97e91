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
