package gateway

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/mccd/mccd/storage"
)

type metrics struct {
	requests  *prometheus.CounterVec // origin, product, status class, source
	bytes     *prometheus.CounterVec // origin, product, source
	collapsed *prometheus.CounterVec // origin, product
	ends      *prometheus.CounterVec // why a response was cut
	firstByte [kinds]prometheus.Observer
	sendfile  prometheus.Counter
	copied    prometheus.Counter
	inFlight  prometheus.Gauge
	conns     prometheus.Gauge
	refused   prometheus.Counter
	logLost   prometheus.Counter
	shaken    *prometheus.CounterVec // result of TLS handshakes

	introductions, egressWaits, denied prometheus.Counter

	known known
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	m := &metrics{
		requests: f.NewCounterVec(prometheus.CounterOpts{
			Name: "mccd_gateway_requests_total",
			Help: "Responses to clients, by catalogue entry, its product, status class and source of the first byte.",
		}, []string{"origin", "product", "class", "source"}),
		bytes: f.NewCounterVec(prometheus.CounterOpts{
			Name: "mccd_gateway_bytes_total",
			Help: "Body bytes of objects sent to clients, by catalogue entry, its product and source.",
		}, []string{"origin", "product", "source"}),
		collapsed: f.NewCounterVec(prometheus.CounterOpts{
			Name: "mccd_gateway_collapsed_requests_total",
			Help: "Responses whose first bytes came by a fill that another request had begun, by catalogue entry and its product.",
		}, []string{"origin", "product"}),
		ends: f.NewCounterVec(prometheus.CounterOpts{
			Name: "mccd_gateway_cut_responses_total",
			Help: "Responses that ended before their last byte, by reason: client, upstream, storage or version.",
		}, []string{"reason"}),
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
	m.shaken = f.NewCounterVec(prometheus.CounterOpts{
		Name: "mccd_gateway_tls_handshakes_total",
		Help: "TLS handshakes of clients, by result: full, resumed or failed.",
	}, []string{"result"})
	m.logLost = f.NewCounter(prometheus.CounterOpts{
		Name: "mccd_gateway_access_log_lost_lines_total",
		Help: "Lines of the access log that were dropped because its file or pipe took none for too long.",
	})
	m.introductions = f.NewCounter(prometheus.CounterOpts{
		Name: "mccd_gateway_proxy_header_faults_total",
		Help: "Connections of listed balancers that were closed because they did not begin with a PROXY header.",
	})
	m.egressWaits = f.NewCounter(prometheus.CounterOpts{
		Name: "mccd_gateway_egress_waits_total",
		Help: "Times that bytes for a client waited because of limits.egress.",
	})
	m.denied = f.NewCounter(prometheus.CounterOpts{
		Name: "mccd_gateway_denied_clients_total",
		Help: "Requests of clients that are not in allow_clients.",
	})
	firstByte := f.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "mccd_gateway_first_byte_seconds",
		Help:    "Time from a request's head to the first byte of its content, by source.",
		Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
	}, []string{"source"})
	for k := range kinds {
		m.firstByte[k] = firstByte.WithLabelValues(k.String())
	}
	return m
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
