package consensus

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct{ applies *prometheus.CounterVec }

func newMetrics(c *Consensus) *metrics {
	reg := promauto.With(c.cfg.Registerer)
	gauge := func(name, help string, value func(Quorum) float64) {
		reg.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return value(c.Quorum()) })
	}
	flag := func(b bool) float64 {
		if b {
			return 1
		}
		return 0
	}
	gauge("mccd_raft_leader", "Whether this node leads the cluster.", func(q Quorum) float64 { return flag(q.HasLeader && q.Leader == c.cfg.ID) })
	gauge("mccd_raft_has_leader", "Whether this node knows a leader.", func(q Quorum) float64 { return flag(q.HasLeader) })
	gauge("mccd_raft_term", "Raft's term.", func(q Quorum) float64 { return float64(q.Term) })
	gauge("mccd_raft_applied_index", "Index of the last command applied here.", func(q Quorum) float64 { return float64(q.Applied) })
	gauge("mccd_raft_commit_index", "Index of the last entry known to be agreed.", func(q Quorum) float64 { return float64(q.Commit) })
	gauge("mccd_raft_voters", "Nodes with a vote.", func(q Quorum) float64 { return float64(len(q.Voters)) })
	gauge("mccd_raft_halted", "Whether a command that cannot be read has stopped this node from applying more.", func(q Quorum) float64 { return flag(q.Halted != nil) })
	return &metrics{applies: reg.NewCounterVec(prometheus.CounterOpts{
		Name: "mccd_raft_apply_total", Help: "Commands sent to this node as the leader, by result.",
	}, []string{"result"})}
}

// count counts an Apply; asking a node that does not lead is none.
func (m *metrics) count(err error) {
	result := "applied"
	switch {
	case err == nil:
	case errors.Is(err, ErrUnknownOutcome):
		result = "unknown"
	case errors.Is(err, ErrNotApplied), errors.Is(err, ErrHalted):
		result = "not_applied"
	default:
		if _, elsewhere := errors.AsType[*NotLeaderError](err); elsewhere {
			return
		}
		result = "refused"
	}
	m.applies.WithLabelValues(result).Inc()
}
