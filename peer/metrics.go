package peer

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	flights   *prometheus.GaugeVec   // by kind: owner, requester
	busy      *prometheus.CounterVec // by cause
	joined    prometheus.Counter
	overtakes prometheus.Counter
	again     prometheus.Counter
	abandoned prometheus.Counter
	fillBytes *prometheus.CounterVec // by source: peer, held, origin
	served    *prometheus.CounterVec // by mode: fill, held
	passed    *prometheus.CounterVec // by reason
	resolves  *prometheus.CounterVec // by result
	// disagreements counts calls of peers with another ring.
	disagreements prometheus.Counter
	inventories   *prometheus.CounterVec // by result: ok, partial, failed
	holders       prometheus.Gauge
	probes        prometheus.Counter
	unmarkedAsks  prometheus.Counter
	lookups       prometheus.Counter
	purgedChunks  prometheus.Counter
	confirmed     prometheus.Counter
	corrupt       prometheus.Counter
	flapping      prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	return &metrics{
		flights: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "mccd_flights", Help: "Fills in progress, by kind: owner (this node acts as the chunk's owner and asks holders and the origin), requester (it asks the owner).",
		}, []string{"kind"}),
		busy: f.NewCounterVec(prometheus.CounterOpts{
			Name: "mccd_fill_busy_total", Help: "Requests refused because a bound was reached, by cause: flights (of the node or of one origin), fills (of one peer), origin (its queue cannot drain in time).",
		}, []string{"cause"}),
		joined: f.NewCounter(prometheus.CounterOpts{
			Name: "mccd_fill_joined_total", Help: "Times that bytes were wanted which another's fill was bringing already.",
		}),
		overtakes: f.NewCounter(prometheus.CounterOpts{
			Name: "mccd_fill_overtakes_total", Help: "Pieces fetched ahead of the fill that would have brought them late.",
		}),
		again: f.NewCounter(prometheus.CounterOpts{
			Name: "mccd_fill_asked_again_total", Help: "Requests at origins that were made again after a trouble that may pass: a failed connection, silence, 500, 502, 503, 504.",
		}),
		abandoned: f.NewCounter(prometheus.CounterOpts{
			Name: "mccd_fill_abandoned_total", Help: "Fills ended before their time because nobody waited for them any more.",
		}),
		fillBytes: f.NewCounterVec(prometheus.CounterOpts{
			Name: "mccd_fill_bytes_total", Help: "Bytes that flights of this node stored, by where they came from.",
		}, []string{"source"}),
		served: f.NewCounterVec(prometheus.CounterOpts{
			Name: "mccd_peer_served_bytes_total", Help: "Bytes sent to other nodes, by mode of the call.",
		}, []string{"mode"}),
		passed: f.NewCounterVec(prometheus.CounterOpts{
			Name: "mccd_peer_passed_over_total", Help: "Candidates passed over by flights, by reason.",
		}, []string{"reason"}),
		flapping: f.NewCounter(prometheus.CounterOpts{
			Name: "mccd_fill_flapping_total", Help: "Objects fetched whole from one answer because the edges of their origin disagree on the version.",
		}),
		disagreements: f.NewCounter(prometheus.CounterOpts{
			Name: "mccd_peer_view_disagreements_total", Help: "Calls of nodes whose view digest differed from this node's.",
		}),
		inventories: f.NewCounterVec(prometheus.CounterOpts{
			Name: "mccd_peer_inventories_total", Help: "Inventories asked of other nodes, by result: ok, partial (the other does not see this node as acting owner of all that was asked), failed.",
		}, []string{"result"}),
		holders: f.NewGauge(prometheus.GaugeOpts{
			Name: "mccd_peer_holders", Help: "Chunks and records of which this node, as acting owner, knows who else has them.",
		}),
		probes: f.NewCounter(prometheus.CounterOpts{
			Name: "mccd_peer_probes_total", Help: "Nodes asked, for a miss, which blocks they hold.",
		}),
		unmarkedAsks: f.NewCounter(prometheus.CounterOpts{
			Name: "mccd_peer_unmarked_asks_total", Help: "Misses for which not all live nodes had told what they hold.",
		}),
		lookups: f.NewCounter(prometheus.CounterOpts{
			Name: "mccd_peer_lookups_total", Help: "Nodes asked, by a home, for the record of an object.",
		}),
		purgedChunks: f.NewCounter(prometheus.CounterOpts{
			Name: "mccd_peer_purged_chunks_total", Help: "Chunks looked at because of a purge, and removed unless they were newer.",
		}),
		confirmed: f.NewCounter(prometheus.CounterOpts{
			Name: "mccd_peer_confirmed_copies_total", Help: "Copies of other nodes' chunks of which their owner confirmed, when asked, that it holds the same bytes.",
		}),
		corrupt: f.NewCounter(prometheus.CounterOpts{
			Name: "mccd_peer_corrupt_blocks_total", Help: "Blocks received from other nodes that did not match the checksum that came with them, and were dropped.",
		}),
		resolves: f.NewCounterVec(prometheus.CounterOpts{
			Name: "mccd_resolves_total", Help: "Questions about the current version of an object, by how they ended.",
		}, []string{"result"}),
	}
}

// register adds what is read from f when it is asked for.
func (*metrics) register(reg prometheus.Registerer, f *Filler) {
	with := promauto.With(reg)
	with.NewCounterFunc(prometheus.CounterOpts{
		Name: "mccd_fill_requested_bytes_total",
		Help: "Bytes that clients of any node asked for, of chunks for which this node acts as owner, in whole pieces of 1 MiB, each counted once.",
	}, func() float64 { return float64(f.Requested()) })
	with.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "mccd_fill_amplification_ratio",
		Help: "Bytes fetched from origins by this node for each byte of mccd_fill_requested_bytes_total. The cluster's is the ratio of the sums.",
	}, f.amplification)
}

func kindLabel(asOwner bool) string {
	if asOwner {
		return "owner"
	}
	return "requester"
}
