package gateway

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/mccd/mccd/storage"
)

type metrics struct {
	requests  *prometheus.CounterVec   // rule, status class, source
	bytes     *prometheus.CounterVec   // rule, source
	ends      *prometheus.CounterVec   // why a response was cut
	firstByte *prometheus.HistogramVec // source
	sendfile  prometheus.Counter
	copied    prometheus.Counter
	inFlight  prometheus.Gauge
	conns     prometheus.Gauge
	refused   prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	return &metrics{
		requests: f.NewCounterVec(prometheus.CounterOpts{
			Name: "mccd_gateway_requests_total",
			Help: "Responses to clients, by catalogue rule, status class and source of the first byte.",
		}, []string{"rule", "class", "source"}),
		bytes: f.NewCounterVec(prometheus.CounterOpts{
			Name: "mccd_gateway_bytes_total",
			Help: "Body bytes of objects sent to clients, by catalogue rule and source.",
		}, []string{"rule", "source"}),
		ends: f.NewCounterVec(prometheus.CounterOpts{
			Name: "mccd_gateway_cut_responses_total",
			Help: "Responses that ended before their last byte, by reason.",
		}, []string{"reason"}),
		firstByte: f.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "mccd_gateway_first_byte_seconds",
			Help:    "Time from a request's head to the first byte of its content, by source.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"source"}),
		sendfile: f.NewCounter(prometheus.CounterOpts{
			Name: "mccd_gateway_sendfile_bytes_total",
			Help: "Body bytes sent by sendfile.",
		}),
		copied: f.NewCounter(prometheus.CounterOpts{
			Name: "mccd_gateway_copied_bytes_total",
			Help: "Body bytes sent through a buffer (TLS, pass-through, other systems).",
		}),
		inFlight: f.NewGauge(prometheus.GaugeOpts{
			Name: "mccd_gateway_in_flight",
			Help: "Responses being made.",
		}),
		conns: f.NewGauge(prometheus.GaugeOpts{
			Name: "mccd_gateway_connections",
			Help: "Open client connections.",
		}),
		refused: f.NewCounter(prometheus.CounterOpts{
			Name: "mccd_gateway_refused_connections_total",
			Help: "Connections over the limit or during a drain, told 503 or closed.",
		}),
	}
}

// Totals counts since the start what was sent to clients.
type Totals struct {
	// Requests are all responses; the others are body bytes of objects, by
	// source, and Passed those passed through unstored.
	Requests                  int64
	Hit, Peer, Origin, Passed int64
}

type totals struct {
	requests, passed atomic.Int64
	bytes            [storage.SourceOrigin + 1]atomic.Int64
}

// Totals returns the counters. It is safe for concurrent use.
func (g *Gateway) Totals() Totals {
	t := &g.totals
	return Totals{
		Requests: t.requests.Load(), Passed: t.passed.Load(),
		Hit:    t.bytes[storage.SourceDisk].Load(),
		Peer:   t.bytes[storage.SourcePeer].Load(),
		Origin: t.bytes[storage.SourceOrigin].Load(),
	}
}
