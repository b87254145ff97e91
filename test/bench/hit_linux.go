package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/mccd/mccd/test/bench/figures"
	"github.com/mccd/mccd/test/bench/load"
	"github.com/mccd/mccd/test/faultorigin"
)

// hitLoad is one way to ask for what is held; a size of 0 is the whole object.
type hitLoad struct {
	name  string
	size  int64
	conns int
}

// hitFlags are the flags of the target.
type hitFlags struct {
	gib float64
}

func newHit(flags *flag.FlagSet) target {
	var f hitFlags
	flags.Float64Var(&f.gib, "hit-gib", 1, "GiB that each measurement of hits moves, and four times as much in larger pieces than 64 KiB")
	return target{name: "hit", about: "delivery of what is held, CPU-s per GiB of the server and throughput", run: f.run}
}

func (f *hitFlags) run(ctx context.Context, b *bench) ([]figures.Finding, error) {
	size, window, conns := int64(256<<20), int64(f.gib*(1<<30)), []int{16, 256}
	if b.smoke {
		size, window, conns = 9<<20, 96<<20, []int{4}
	}
	h, err := b.newHits(ctx, size)
	if err != nil {
		return nil, err
	}
	defer h.stop()
	var found []figures.Finding
	for _, n := range conns {
		for _, l := range []hitLoad{{"64KiB", 64 << 10, n}, {"1MiB", 1 << 20, n}, {"whole", 0, n}} {
			moved := window
			if l.size != 64<<10 && !b.smoke {
				moved *= 4 // they are as much faster
			}
			more, err := h.compare(ctx, l, b.plan(9), moved)
			if err != nil {
				return nil, err
			}
			found = append(found, more...)
		}
	}
	return found, h.held(ctx)
}

// hits are subjects that hold one object.
type hits struct {
	out      io.Writer
	origin   *origin
	subjects []*subject // ours first
	path     string
	size     int64
	prefix   string // of the rows' names
}

// newHits starts all subjects and lets them fetch the object.
func (b *bench) newHits(ctx context.Context, size int64) (*hits, error) {
	o := objects{path: "/filestreamingservice/files/hit", count: 1, size: size}
	h := &hits{out: b.out, path: o.at(0), size: size, prefix: "hit"}
	err := b.fillHits(ctx, h, o)
	if err != nil {
		h.stop()
		return nil, err
	}
	return h, nil
}

func (b *bench) fillHits(ctx context.Context, h *hits, o objects) (err error) {
	if h.origin, err = startOrigin(ctx, o); err != nil {
		return err
	}
	root := filepath.Join(b.dir, "www")
	if err := writeObject(root, h.path, h.size); err != nil {
		return err
	}
	p := place{origin: h.origin, root: root, size: 4 * h.size}
	ours, err := b.startNodes(ctx, "mccd", 1, p)
	if err != nil {
		return err
	}
	h.subjects = append(h.subjects, ours)
	for _, kind := range b.rivals(true) {
		s, err := b.startRival(ctx, kind, p)
		if err != nil {
			return err
		}
		h.subjects = append(h.subjects, s)
	}
	for _, s := range h.subjects {
		if err := s.warm(ctx, h.origin, h.path, h.size); err != nil {
			return err
		}
	}
	return h.origin.reset(ctx)
}

func (h *hits) stop() {
	for _, s := range h.subjects {
		s.stop()
	}
	if h.origin != nil {
		h.origin.stop()
	}
}

// held fails if anything was fetched since the subjects were filled.
func (h *hits) held(ctx context.Context) error {
	sent, err := h.origin.sent(ctx, "")
	if err == nil && sent.Bytes > 0 {
		err = fmt.Errorf("%d bytes came from the origin while hits were measured", sent.Bytes)
	}
	return err
}

// compare alternates between the subjects; each round begins with another. A
// rival that fails takes no further part in this load, which is said.
func (h *hits) compare(ctx context.Context, l hitLoad, rounds rounds, window int64) ([]figures.Finding, error) {
	cpu, speed := make([][]float64, len(h.subjects)), make([][]float64, len(h.subjects))
	failed := make([]bool, len(h.subjects))
	for round := range rounds.total {
		for k := range h.subjects {
			i := (round + k) % len(h.subjects)
			if failed[i] {
				continue
			}
			s := h.subjects[i]
			got, err := load.Steady{
				Addr: s.addrs[0], Target: s.target(h.path), Object: h.size, Size: l.size,
				Clients: l.conns, Bytes: window, Groups: s.groups, TLS: s.tls,
			}.Measure(ctx)
			if err != nil && (i == 0 || ctx.Err() != nil) {
				return nil, fmt.Errorf("%s, %s, %d connections: %w", s.name, l.name, l.conns, err)
			}
			if err != nil {
				fmt.Fprintf(h.out, "  FAILED: %s, %s, %d connections: %v\n", s.name, l.name, l.conns, err)
				failed[i] = true
				continue
			}
			if rounds.counts(round) {
				cpu[i], speed[i] = append(cpu[i], got.CPUPerGiB), append(speed[i], got.MiBPerSecond)
			}
		}
	}
	var found []figures.Finding
	name := fmt.Sprintf("%s/%s/%d/", h.prefix, l.name, l.conns)
	if len(h.subjects) == 1 {
		return append(found, figures.Single(name+"cpu/none", "CPU-s/GiB", cpu[0]), figures.Single(name+"throughput/none", "MiB/s", speed[0])), nil
	}
	for i, s := range h.subjects[1:] {
		if failed[i+1] {
			continue
		}
		goal := hitGoal(s.name, l.size)
		if s.tls != nil {
			goal = tlsGoal()
		}
		found = append(found,
			figures.Compare(name+"cpu/"+s.name, "CPU-s/GiB", cpu[0], cpu[i+1]).Within(goal.cpu, goal.cpuAim),
			figures.Compare(name+"throughput/"+s.name, "MiB/s", speed[0], speed[i+1]).Within(goal.speed, goal.speedAim))
	}
	return slices.Clip(found), nil
}

// goal is what is to be reached beside one rival.
type goal struct {
	cpu, cpuAim, speed, speedAim figures.Bound
}

// hitGoal returns what docs/benchmarks.md asks for beside a peer; size 0 is
// the whole object.
func hitGoal(peer string, size int64) goal {
	small := size > 0 && size < 1<<20
	switch {
	case peer == "nginx" && small:
		return goal{figures.AtMost(1.25), figures.AtMost(0.95), figures.AtLeast(0.75), figures.AtLeast(1)}
	case peer == "nginx":
		return goal{figures.AtMost(1.20), figures.AtMost(1), figures.AtLeast(0.80), figures.AtLeast(0.95)}
	case peer == "varnish" && small:
		return goal{cpu: figures.AtMost(1)}
	case peer == "varnish":
		return goal{speed: figures.AtLeast(0.85)}
	default:
		return goal{cpu: figures.AtMost(1.05), cpuAim: figures.AtMost(1)}
	}
}

// writeObject writes the object's bytes below root.
func writeObject(root, path string, size int64) error {
	file := filepath.Join(root, path)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	content := make([]byte, size)
	faultorigin.Fill(content, path, faultorigin.DefaultVersion, 0)
	return os.WriteFile(file, content, 0o644)
}
