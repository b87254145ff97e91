package wire

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Why a caller was turned away, as the metric's label.
const (
	reasonPlain       = "plain"       // no TLS
	reasonTLS         = "tls"         // a broken handshake
	reasonCertificate = "certificate" // the Policy refused
	reasonProtocol    = "protocol"    // none that this port speaks
	reasonRole        = "role"        // Raft with one that is no node
	reasonTimeout     = "timeout"     // too slow
	reasonCrowded     = "crowded"     // made room for others
	reasonClosed      = "closed"      // went away by itself
	reasonUntaken     = "untaken"     // nobody here took it over
	reasonEnforced    = "enforced"    // open, and no longer welcome
	reasonStayed      = "stayed"      // no member, and open for too long
)

type metrics struct {
	refused  *prometheus.CounterVec
	accepted *prometheus.CounterVec
	open     *prometheus.GaugeVec
	failed   prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	return &metrics{
		refused: f.NewCounterVec(prometheus.CounterOpts{
			Name: "mccd_wire_refused_total",
			Help: "Connections between nodes that were turned away or closed, by reason.",
		}, []string{"reason"}),
		accepted: f.NewCounterVec(prometheus.CounterOpts{
			Name: "mccd_wire_accepted_total",
			Help: "Connections between nodes that were accepted, by protocol and role.",
		}, []string{"protocol", "role"}),
		open: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "mccd_wire_connections",
			Help: "Open connections between nodes, by who made them (in, out).",
		}, []string{"direction"}),
		failed: f.NewCounter(prometheus.CounterOpts{
			Name: "mccd_wire_accept_failures_total",
			Help: "Failures of the port itself, such as no descriptors left.",
		}),
	}
}
