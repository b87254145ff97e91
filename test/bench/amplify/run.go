package amplify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/bench/figures"
	"github.com/mccd/mccd/test/bench/stage"
	"github.com/mccd/mccd/test/faultorigin"
)

const mib = 1 << 20

// Config says what is measured. Zero values mean what each field says.
type Config struct {
	// Bin is the program, Dir where the nodes' directories are made. Required.
	Bin, Dir string
	// Nodes is how many; 0 = 3.
	Nodes int
	// Size is the length of the object that a herd reads and of the Windows
	// trace; 0 = 512 MiB.
	Size int64
	// Clients is how many read it; 0 = 60.
	Clients int
	// Ranges is how many sparse ranges are read; 0 = 400.
	Ranges int
	// Calm leaves out the herds during restarts and a join, which take half a
	// minute each.
	Calm bool
	// Only is the one row that is measured, without "origin/"; empty = all.
	Only string
}

// run is one measurement.
type run struct {
	Config
	stage *stage.Stage

	mu    sync.Mutex // guards asked
	asked map[string][]storage.Span
}

// trace is one way to read.
type trace struct {
	row, what string
	must      float64
	read      func(ctx context.Context) error
}

// Run measures and prints what it finds to out.
func Run(ctx context.Context, cfg Config, out io.Writer) (_ []figures.Finding, err error) {
	r := &run{Config: cfg.withDefaults(), asked: map[string][]storage.Span{}}
	r.stage, err = stage.Begin(ctx, stage.Config{
		Bin: r.Bin, Dir: r.Dir, Nodes: r.Nodes, DriveSize: "8GiB",
		Amend: func(_ int, settings map[string]any) { settings["limits"] = map[string]any{"free_space": "1MiB"} },
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.stage.Close()) }()
	fmt.Fprintf(out, "Origin: bytes it sends for what clients of %d nodes ask for (union of ranges, rounded to 1 MiB)\n", r.Nodes)
	var all []figures.Finding
	traces := []trace{
		{"origin/herd", fmt.Sprintf("%d clients read one cold object of %d MiB at all nodes", r.Clients, r.Size/mib), 1, r.herd},
		{"origin/sparse", fmt.Sprintf("%d ranges of 4 KiB to 1 MiB, far apart, at all nodes", r.Ranges), 1.02, r.sparse},
		{"origin/windows", fmt.Sprintf("two streams of 1 MiB pieces of %d MiB, cut in the middle", r.Size/mib), 1.05, r.windows},
	}
	if !r.Calm {
		traces = append(traces, trace{"origin/restarts", fmt.Sprintf("a herd of %d while each node in turn is restarted in good order", r.Clients), 1, r.restarts},
			trace{"origin/join", fmt.Sprintf("a herd of %d while a node joins", r.Clients), 1, r.join})
	}
	for _, t := range traces {
		if r.Only != "" && t.row != "origin/"+r.Only {
			continue
		}
		begun, seen := time.Now(), len(r.stage.Origin.Ledger().Entries())
		row, err := r.measure(ctx, t)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t.row, err)
		}
		fmt.Fprintf(out, "  %-16s %.4f (%s)\n", t.row, row.Value, t.what)
		printRepeats(out, r.stage.Origin.Ledger().Entries(), seen, begun)
		all = append(all, row)
	}
	return all, nil
}

func (c Config) withDefaults() Config {
	if c.Nodes == 0 {
		c.Nodes = 3
	}
	if c.Size == 0 {
		c.Size = 512 * mib
	}
	if c.Clients == 0 {
		c.Clients = 60
	}
	if c.Ranges == 0 {
		c.Ranges = 400
	}
	return c
}

// measure reads by t and compares.
func (r *run) measure(ctx context.Context, t trace) (figures.Finding, error) {
	r.mu.Lock()
	clear(r.asked)
	r.mu.Unlock()
	before, err := r.stage.Spent(ctx)
	if err != nil {
		return figures.Finding{}, err
	}
	if err := t.read(ctx); err != nil {
		return figures.Finding{}, err
	}
	after, err := r.settled(ctx)
	if err != nil {
		return figures.Finding{}, err
	}
	asked := r.union()
	ratio := float64(after-before) / float64(asked)
	f := figures.Single(t.row, fmt.Sprintf("bytes the origin sent (%d) / union of the ranges asked for, rounded to 1 MiB (%d); %s", after-before, asked, t.what),
		[]float64{ratio})
	return f.Within(figures.AtMost(t.must), figures.Bound{}), nil
}

// object gives the origin one more object.
func (r *run) object(path string, size int64) {
	r.stage.Origin.Add(faultorigin.Object{Path: path, Size: size})
}

// ask notes what a client asks for.
func (r *run) ask(path string, span storage.Span, size int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked[path] = append(r.asked[path], span.Round(storage.PieceSize, size))
}

// union returns how many different bytes were asked for.
func (r *run) union() (n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, spans := range r.asked {
		slices.SortFunc(spans, func(a, b storage.Span) int { return cmp.Compare(a.Off, b.Off) })
		end := int64(0)
		for _, s := range spans {
			n += max(0, s.End-max(s.Off, end))
			end = max(end, s.End)
		}
	}
	return n
}
