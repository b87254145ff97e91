package disk

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// metrics are the counters that are kept by event; the others are read from
// the Store when they are asked for. Drives are told apart by their place in
// the configuration.
type metrics struct {
	s           *Store
	transitions *prometheus.CounterVec
}

func newMetrics(s *Store, reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	m := &metrics{s: s, transitions: f.NewCounterVec(prometheus.CounterOpts{
		Name: "mccd_disk_transitions_total", Help: "Changes of a drive's state, by the state entered.",
	}, []string{"drive", "state"})}
	counter := func(name, help string, read func() int64) {
		f.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return float64(read()) })
	}
	gauge := func(name, help string, labels prometheus.Labels, read func() int64) {
		f.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels}, func() float64 { return float64(read()) })
	}
	counter("mccd_disk_corrupt_blocks_total", "Blocks that did not match their checksum; none was served.", s.counts.corrupt.Load)
	counter("mccd_disk_damaged_files_total", "Chunk files removed because of an unreadable header.", s.counts.damaged.Load)
	counter("mccd_disk_repairs_total", "Chunks that went on in a new file.", s.counts.repairs.Load)
	counter("mccd_disk_evictions_total", "Chunk files evicted.", s.counts.evictions.Load)
	counter("mccd_disk_cold_bytes_total", "Bytes read from drives to be verified.", s.counts.coldBytes.Load)
	counter("mccd_disk_memory_chunks_total", "Chunks kept in memory because no drive took them.", s.counts.memoryFalls.Load)
	gauge("mccd_disk_memory_bytes", "Bytes taken by memory files.", nil, s.memory.Load)
	for i := range s.cfg.Drives {
		labels := prometheus.Labels{"drive": strconv.Itoa(i)}
		of := func(read func(*drive) int64) func() int64 {
			return func() int64 {
				if i >= len(s.drives) {
					return 0
				}
				return read(s.drives[i])
			}
		}
		gauge("mccd_disk_bytes", "Bytes that count against the drive's limit.", labels, of(func(d *drive) int64 { return d.used.Load() }))
		gauge("mccd_disk_limit_bytes", "The drive's limit.", labels, of(func(d *drive) int64 { return d.limit }))
		gauge("mccd_disk_chunks", "Chunk files on the drive.", labels, of(func(d *drive) int64 { return d.chunks.Load() }))
		gauge("mccd_disk_state", "The drive's state: 0 ok, 1 full, 2 read-only, 3 failed.", labels,
			of(func(d *drive) int64 { return int64(d.state.Load()) }))
	}
	return m
}

func (m *metrics) transition(d *drive, to State) {
	m.transitions.WithLabelValues(strconv.Itoa(d.num), to.String()).Inc()
}

func (m *metrics) evicted(*drive) { m.s.counts.evictions.Add(1) }
