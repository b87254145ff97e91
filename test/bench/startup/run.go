package startup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/mccd/mccd/cluster/state"
	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/bench/figures"
	"github.com/mccd/mccd/test/bench/stage"
	"github.com/mccd/mccd/test/process"
)

// must is the longest time until the first hit.
const must = 2 * time.Second

// Config says what is measured. Zero values mean what each field says.
type Config struct {
	// Bin is the program, Dir where the node's directory is made. Required.
	Bin, Dir string
	// Chunks is how many chunk files the drive has, and as many records;
	// 0 = 200,000.
	Chunks int
	// Rounds is how often each kind of stop is followed by a start; 0 = 3.
	Rounds int
	// Warm leaves the kernel's caches alone, which are everybody's.
	Warm bool
}

// times are what one start took.
type times struct {
	// hit is the time from the start of the process until the last byte of the
	// first hit, indexed until the drive is scanned.
	hit, indexed time.Duration
	// cpu is what the process used until it was indexed, resident what it had
	// in memory then.
	cpu      time.Duration
	resident int64
}

// Run measures and prints what it finds to out.
func Run(ctx context.Context, cfg Config, out io.Writer) (_ []figures.Finding, err error) {
	if cfg.Chunks == 0 {
		cfg.Chunks = 200_000
	}
	if cfg.Rounds == 0 {
		cfg.Rounds = 3
	}
	s, err := stage.Begin(ctx, stage.Config{
		Bin: cfg.Bin, Dir: cfg.Dir, DriveSize: "16GiB",
		Amend: func(_ int, settings map[string]any) { settings["limits"] = map[string]any{"free_space": "1MiB"} },
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	n := s.Nodes[0]
	if err := n.Stop(ctx); err != nil {
		return nil, err
	}
	fmt.Fprintf(out, "Start: one node whose drive has %d chunks and their records\n", cfg.Chunks)
	begun := time.Now()
	if err := stage.Populate(ctx, n.Drive, cfg.Chunks); err != nil {
		return nil, fmt.Errorf("populate the drive: %w", err)
	}
	fmt.Fprintf(out, "  the drive was populated in %.0f s\n", time.Since(begun).Seconds())
	// One start that is not measured, so that the first one measured follows a
	// stop like any other.
	if err := n.Restart(ctx); err != nil {
		return nil, err
	}
	if err := stage.Indexed(ctx, n, cfg.Chunks); err != nil {
		return nil, err
	}
	r := &run{Config: cfg, stage: s, node: n, out: out}
	var all []figures.Finding
	for _, c := range []before{
		{"an orderly stop", "start/first_hit", func() error { return n.Stop(ctx) }},
		{"kill -9", "start/first_hit/killed", n.Kill},
		{"kill -9 of all 3 nodes, this one alone", "start/first_hit/alone", n.Kill},
	} {
		if c.row == "start/first_hit/alone" {
			if err := r.orphan(ctx); err != nil {
				return nil, err
			}
		}
		f, err := r.rounds(ctx, c)
		if err != nil {
			return nil, fmt.Errorf("start after %s: %w", c.name, err)
		}
		all = append(all, f)
	}
	return all, nil
}

// run is one measurement.
type run struct {
	Config
	stage *stage.Stage
	node  *process.Node
	out   io.Writer
	asked int // small objects asked for
}

// before is how the node came to be started.
type before struct {
	name, row string
	end       func() error
}

// orphan makes the node one of three, of which the others are dead.
func (r *run) orphan(ctx context.Context) error {
	if err := r.node.Writable(ctx); err != nil {
		return err
	}
	token, _, err := r.node.Token(ctx, state.TokenSpec{Uses: -1, Note: "bench"})
	if err != nil {
		return err
	}
	if err := os.WriteFile(r.stage.TokenFile, []byte(token+"\n"), 0o600); err != nil {
		return err
	}
	for range 2 {
		other, err := r.stage.Add(nil)
		if err != nil {
			return err
		}
		if err := other.Restart(ctx); err != nil {
			return err
		}
	}
	if err := r.stage.Together(ctx); err != nil {
		return err
	}
	for _, other := range r.stage.Nodes[1:] {
		if err := other.Kill(); err != nil {
			return err
		}
	}
	return nil
}

// rounds ends the node as c says and starts it, time and again.
func (r *run) rounds(ctx context.Context, c before) (figures.Finding, error) {
	var found []times
	bed := "caches warm"
	for range r.Rounds {
		if err := c.end(); err != nil {
			return figures.Finding{}, err
		}
		if !r.Warm {
			bed = dropCaches(ctx)
		}
		r.asked++ // one that nobody asked for before
		f, err := begin(ctx, r.node, r.Chunks, r.Chunks/2+r.asked)
		if err != nil {
			return figures.Finding{}, err
		}
		found = append(found, f)
	}
	if sent := r.stage.Origin.Ledger().Bytes(""); sent > 0 {
		return figures.Finding{}, fmt.Errorf("the origin sent %d bytes of what is on the drive", sent)
	}
	indexed := median(found, func(f times) time.Duration { return f.indexed })
	cpu := median(found, func(f times) time.Duration { return f.cpu })
	fmt.Fprintf(r.out, "  after %s: first hit after %s ms, indexed after %.2f s, %.2f CPU-s and %d MiB resident by then; %s\n",
		c.name, each(found), indexed.Seconds(), cpu.Seconds(), found[len(found)-1].resident>>20, bed)
	hits := make([]float64, 0, len(found))
	for _, f := range found {
		hits = append(hits, ms(f.hit))
	}
	return figures.Single(c.row, fmt.Sprintf("ms from the start of the process to the first hit served, after %s; %d chunks, %s, %d rounds",
		c.name, r.Chunks, bed, r.Rounds), hits).Within(figures.AtMost(ms(must)), figures.Bound{}), nil
}

// begin starts n and measures until it serves small object i, and is indexed.
func begin(ctx context.Context, n *process.Node, chunks, i int) (f times, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	begun := time.Now()
	if err := n.Start(); err != nil {
		return f, err
	}
	if err := firstHit(ctx, n, i); err != nil {
		return f, err
	}
	f.hit = time.Since(begun)
	if err := stage.Indexed(ctx, n, chunks); err != nil {
		return f, err
	}
	f.indexed = time.Since(begun)
	u, err := n.Usage()
	f.cpu, f.resident = u.CPU, u.Resident
	return f, err
}

// firstHit asks for small object i until it is served, from the drive.
func firstHit(ctx context.Context, n *process.Node, i int) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		client, err := stage.Dial(ctx, n.Addr, 0)
		if err == nil {
			status, err := client.Get(stage.SmallPath(i), storage.Span{End: stage.SmallSize}, true)
			client.Close()
			switch {
			case err != nil:
				return err // it was up and did not serve
			case !strings.Contains(status, "hit"):
				return fmt.Errorf("not a hit: %s", status)
			}
			return nil
		}
		select {
		case <-tick.C:
		case <-n.Exited():
			return process.ErrNotRunning
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		}
	}
}

// dropCaches makes the kernel forget what it has read, and tells in words
// whether it could.
func dropCaches(ctx context.Context) string {
	// What is not written yet stays in the caches.
	if _, _, err := process.Command(ctx, "sync"); err != nil {
		return "caches warm (no sync)"
	}
	if err := os.WriteFile("/proc/sys/vm/drop_caches", []byte("3"), 0); err != nil {
		return "caches warm (they cannot be dropped here)"
	}
	return "caches dropped"
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func median(all []times, of func(times) time.Duration) time.Duration {
	values := make([]time.Duration, 0, len(all))
	for _, f := range all {
		values = append(values, of(f))
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// each lists the times to the first hit.
func each(all []times) string {
	parts := make([]string, 0, len(all))
	for _, f := range all {
		parts = append(parts, fmt.Sprintf("%.0f", ms(f.hit)))
	}
	return strings.Join(parts, ", ")
}
