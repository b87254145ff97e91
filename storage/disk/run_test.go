package disk

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/mccd/mccd/storage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRunScansAndEnds(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, Config{}, dir)
	for i := range uint32(20) {
		key, v := object("run", 20*storage.ChunkSize, i)
		create(t, s, key, v).Release()
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, Config{ScrubRate: 1 << 40}, dir)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Run(ctx) }()
	<-s.Indexed()
	if n := s.Stats().Chunks; n != 20 {
		t.Errorf("%d chunks", n)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// The background evicts down to the low mark before a writer has to.
func TestEvictionAheadOfNeed(t *testing.T) {
	s := openStore(t, Config{Drives: []Drive{{Path: t.TempDir(), Size: 4 * MinDriveSize}}})
	for i := range uint32(4) {
		key, v := object("ahead", 9*storage.ChunkSize, i)
		c := create(t, s, key, v)
		fill(t, c)
		c.Release()
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Run(ctx) }()
	d := s.drives()[0]
	for range 1000 {
		if d.used.Load() <= d.low() {
			break
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	cancel()
	<-ended
	if got := d.used.Load(); got > d.low() {
		t.Errorf("%d bytes stay, the low mark is %d", got, d.low())
	}
}

func TestMetrics(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	s := openStore(t, Config{Registerer: reg})
	key, v := object("metrics", testSize, 1)
	c := create(t, s, key, v)
	fill(t, c)
	c.Release()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			values[f.GetName()] += m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	for name, want := range map[string]float64{"mccd_disk_bytes": float64(s.Stats().Bytes), "mccd_disk_chunks": 1, "mccd_disk_limit_bytes": 256 << 20,
		"mccd_disk_state": 0, "mccd_disk_corrupt_blocks_total": 0} {
		if got, ok := values[name]; !ok || got != want {
			t.Errorf("%s = %v, %v; want %v", name, got, ok, want)
		}
	}
}

// The index takes at most the memory that DESIGN.md states.
func TestIndexMemory(t *testing.T) {
	s := openStore(t, Config{})
	const n = 20000
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range uint32(n) {
		key, _ := object("index", 1<<50, 0)
		key.Index = i
		s.found(t.Context(), s.drives()[0], key, Info{Bytes: 4096, Used: time.Unix(1, 0)})
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	per := float64(int64(after.HeapAlloc)-int64(before.HeapAlloc)) / n
	t.Logf("%.0f bytes per chunk", per)
	if per > 320 {
		t.Errorf("%.0f bytes per chunk", per)
	}
}
