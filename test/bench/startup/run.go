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
	// cpu is what the process used until it was indexed.
	cpu time.Duration
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
	var all []figures.Finding
	for _, stop := range []struct {
		name, row string
		end       func() error
	}{
		{"an orderly stop", "start/first_hit", func() error { return n.Stop(ctx) }},
		{"kill -9", "start/first_hit/killed", n.Kill},
	} {
		var found []times
		bed := ""
		for round := range cfg.Rounds {
			if err := stop.end(); err != nil {
				return nil, err
			}
			if bed = "caches warm"; !cfg.Warm {
				bed = dropCaches(ctx)
			}
			f, err := begin(ctx, n, cfg.Chunks, cfg.Chunks/2+round)
			if err != nil {
				return nil, fmt.Errorf("start after %s: %w", stop.name, err)
			}
			found = append(found, f)
		}
		if sent := s.Origin.Ledger().Bytes(""); sent > 0 {
			return nil, fmt.Errorf("the origin sent %d bytes of what is on the drive", sent)
		}
		hit := median(found, func(f times) time.Duration { return f.hit })
		fmt.Fprintf(out, "  after %-16s first hit after %4.0f ms (%s), indexed after %.2f s, %.2f CPU-s until then; %s\n", stop.name+":",
			ms(hit), each(found), median(found, func(f times) time.Duration { return f.indexed }).Seconds(),
			median(found, func(f times) time.Duration { return f.cpu }).Seconds(), bed)
		hits := make([]float64, 0, len(found))
		for _, f := range found {
			hits = append(hits, ms(f.hit))
		}
		all = append(all, figures.Single(stop.row, fmt.Sprintf("ms from the start of the process to the first hit served, after %s; %d chunks, %s, %d rounds",
			stop.name, cfg.Chunks, bed, cfg.Rounds), hits).Within(figures.AtMost(ms(must)), figures.Bound{}))
	}
	return all, nil
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
	f.cpu = u.CPU
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
