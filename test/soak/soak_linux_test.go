package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestSoak is `make soak` in small: so little time shows no growth, but
// everything else is asserted.
func TestSoak(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes; not with -short")
	}
	// Not t.TempDir: a Unix socket's path must be short.
	dir, err := os.MkdirTemp("", "mccd-soak-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	cfg := config{out: t.Output(), dir: dir, to: t.TempDir(), nodes: 2, clients: 24, contentMiB: 1024, drivesMiB: 256,
		length: 12 * time.Second, settle: 30 * time.Second}
	r, err := soak(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	r.print(t.Output())
	if err := r.verdict(4); err != nil {
		t.Error(err)
	}
	evicted := 0.0
	for _, s := range r.samples {
		evicted = max(evicted, s.evictions)
	}
	if r.crowd.bytes.Load() == 0 || evicted == 0 {
		t.Errorf("read %d bytes, evicted %.0f chunks: it tests less than it should", r.crowd.bytes.Load(), evicted)
	}
	if err := r.write(cfg.to); err != nil {
		t.Fatal(err)
	}
	svg, err := os.ReadFile(filepath.Join(cfg.to, "soak.svg"))
	if err != nil {
		t.Fatal(err)
	}
	for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("the plot: %v", err)
		}
	}
}

// The verdict finds each fault.
func TestVerdict(t *testing.T) {
	good := func() *result {
		r := &result{config: config{nodes: 1, drivesMiB: 64, length: time.Minute}, crowd: &crowd{content: newContent(64)}}
		for s := range 60 {
			r.samples = append(r.samples, sample{at: time.Duration(s) * time.Second, resident: 100 * mib, held: 60 * mib, counted: 60 * mib, answered: true})
		}
		r.before = []sample{{goroutines: 50, sockets: 10}}
		r.after = []sample{{goroutines: 50, sockets: 10}}
		return r
	}
	if err := good().verdict(1.1); err != nil {
		t.Errorf("a good run: %v", err)
	}
	for name, spoil := range map[string]func(*result){
		"wrong":      func(r *result) { r.crowd.wrong.Add(1) },
		"cut":        func(r *result) { r.crowd.requests.Add(99); r.crowd.cut.Add(1) },
		"failed":     func(r *result) { r.crowd.failed.Add(1) },
		"held":       func(r *result) { r.samples[7].held = 66 * mib },
		"counted":    func(r *result) { r.samples[7].counted = 65 * mib },
		"growth":     func(r *result) { r.samples[58].resident = 300 * mib },
		"goroutines": func(r *result) { r.after[0].goroutines = 90 },
		"sockets":    func(r *result) { r.after[0].sockets = 30 },
		"removed":    func(r *result) { r.after[0].deleted = 1 },
	} {
		r := good()
		spoil(r)
		if r.verdict(1.1) == nil {
			t.Errorf("%s is not found", name)
		}
	}
}
