package disk

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// metrics are the counters that are kept by event; the others are read from
// the Store when they are asked for. Drives are told apart by their path: the
// operator's own, and few.
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
	counter("mccd_disk_damaged_files_total", "Chunk files removed because of an unreadable header.", s.counts.damaged.Load)
	counter("mccd_disk_repairs_total", "Chunks that went on in a new file.", s.counts.repairs.Load)
	counter("mccd_disk_evictions_total", "Chunk files evicted.", s.counts.evictions.Load)
	counter("mccd_disk_cold_bytes_total", "Bytes read from drives to be verified.", s.counts.coldBytes.Load)
	counter("mccd_disk_memory_chunks_total", "Chunks kept in memory because no drive took them.", s.counts.memoryFalls.Load)
	for worth := range WorthPinned + 1 {
		f.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "mccd_disk_worth_bytes", Help: "Bytes of chunks on the drives, by what they are worth: old, borrowed, owned or pinned.",
			ConstLabels: prometheus.Labels{"worth": worth.String()},
		}, func() float64 { return float64(s.worthBytes(worth)) })
	}
	f.NewGaugeFunc(prometheus.GaugeOpts{Name: "mccd_disk_memory_bytes", Help: "Bytes taken by memory files."},
		func() float64 { return float64(s.memory.Load()) })
	if reg != nil {
		reg.MustRegister(newDriveCollector(s))
	}
	return m
}

func (m *metrics) transition(d *drive, to State) {
	m.transitions.WithLabelValues(d.path, to.String()).Inc()
}

func (m *metrics) evicted(*drive) { m.s.counts.evictions.Add(1) }

// driveCollector tells of the drives that there are when it is asked.
type driveCollector struct {
	s       *Store
	metrics []driveMetric
}

type driveMetric struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	read func(*DriveStats) float64
}

func newDriveCollector(s *Store) *driveCollector {
	c := &driveCollector{s: s}
	add := func(name, help string, kind prometheus.ValueType, read func(*DriveStats) float64) {
		c.metrics = append(c.metrics, driveMetric{prometheus.NewDesc(name, help, []string{"drive"}, nil), kind, read})
	}
	gauge := prometheus.GaugeValue
	add("mccd_disk_bytes", "Bytes that count against the drive's limit.", gauge, func(d *DriveStats) float64 { return float64(d.Bytes) })
	add("mccd_disk_limit_bytes", "The drive's limit.", gauge, func(d *DriveStats) float64 { return float64(d.Limit) })
	add("mccd_disk_chunks", "Chunk files on the drive.", gauge, func(d *DriveStats) float64 { return float64(d.Chunks) })
	add("mccd_disk_foreign_bytes", "Bytes on the drive that a newer release wrote, or somebody else.", gauge,
		func(d *DriveStats) float64 { return float64(d.Foreign) })
	add("mccd_disk_state", "The drive's state: 0 ok, 1 full, 2 read-only, 3 failed, 4 slow, 5 missing, 6 leaving.", gauge,
		func(d *DriveStats) float64 { return float64(d.State) })
	add("mccd_disk_failing", "1 when more blocks were corrupt within a day than a healthy drive has.", gauge, func(d *DriveStats) float64 {
		if d.Failing {
			return 1
		}
		return 0
	})
	add("mccd_disk_corrupt_blocks_total", "Blocks that did not match their checksum; none was served.", prometheus.CounterValue,
		func(d *DriveStats) float64 { return float64(d.Corrupt) })
	add("mccd_disk_scrub_rounds_total", "Times that all of the drive was read and verified in the background.", prometheus.CounterValue,
		func(d *DriveStats) float64 { return float64(d.Scrub.Rounds) })
	add("mccd_disk_scrub_progress_ratio", "The share of the present round that the scrub has done.", gauge,
		func(d *DriveStats) float64 { return d.Scrub.Done })
	return c
}

// Describe implements prometheus.Collector.
func (c *driveCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range c.metrics {
		ch <- m.desc
	}
}

// Collect implements prometheus.Collector.
func (c *driveCollector) Collect(ch chan<- prometheus.Metric) {
	for _, d := range c.s.drives() {
		stats := d.stats()
		for _, m := range c.metrics {
			ch <- prometheus.MustNewConstMetric(m.desc, m.kind, m.read(&stats), d.path)
		}
	}
}
