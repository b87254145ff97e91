package memory

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/bench/figures"
	"github.com/mccd/mccd/test/bench/stage"
	"github.com/mccd/mccd/test/faultorigin"
	"github.com/mccd/mccd/test/process"
)

const (
	mib = 1 << 20
	// must is the most that may be resident.
	must       = 256 * mib
	objectSize = 64 * mib
)

// Config says what is measured. Zero values mean what each field says.
type Config struct {
	// Bin is the program, Dir where the node's directory is made. Required.
	Bin, Dir string
	// Chunks is how many chunk files the drive has; 0 = 25,000.
	Chunks int
	// Clients is how many are connected and at work; 0 = 1,000.
	Clients int
	// Lasts is how long each kind of work lasts at least; 0 = 20 s.
	Lasts time.Duration
	// Objects is how many objects of 64 MiB the clients read; 0 = 8.
	Objects int
}

// run is one measurement: of one node, which all clients ask, alone or as one
// of several.
type run struct {
	Config
	stage *stage.Stage
	node  *process.Node
}

// Run measures and prints what it finds to out.
func Run(ctx context.Context, cfg Config, out io.Writer) ([]figures.Finding, error) {
	cfg = cfg.withDefaults()
	fmt.Fprintf(out, "Memory: %d chunks on a node's drive, %d clients at it, half of them slow\n", cfg.Chunks, cfg.Clients)
	var all []figures.Finding
	for _, of := range []struct {
		nodes      int
		what, kind string
		row        string
	}{
		{1, "held content", "held", "memory/rss"},
		{1, "cold content", "cold", "memory/rss/cold"},
		{3, "cold content of three nodes", "cold", "memory/rss/peers"},
	} {
		f, err := cfg.measure(ctx, of.nodes, of.kind)
		if err != nil {
			return nil, fmt.Errorf("clients of %s: %w", of.what, err)
		}
		f.print(out, of.what)
		all = append(all, figures.Single(of.row, fmt.Sprintf(
			"MiB resident at most (VmRSS), %d clients of %s, %d chunks indexed; %d anonymous, %d files, %d memory files",
			cfg.Clients, of.what, cfg.Chunks, f.Anonymous/mib, f.File/mib, f.Shared/mib), []float64{float64(f.Resident) / mib}).
			Within(figures.AtMost(must/mib), figures.Bound{}))
	}
	return all, nil
}

// measure sets nodes up and returns the highest usage of the one that is
// asked, while clients want what is held or cold.
func (c Config) measure(ctx context.Context, nodes int, kind string) (f usage, err error) {
	dir, err := os.MkdirTemp(c.Dir, "m")
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	objects := make([]faultorigin.Object, 0, c.Objects)
	for i := range c.Objects {
		objects = append(objects, faultorigin.Object{Path: path(i), Size: objectSize})
	}
	r := &run{Config: c}
	r.stage, err = stage.Begin(ctx, stage.Config{
		Bin: c.Bin, Dir: dir, Nodes: nodes, DriveSize: "8GiB", Objects: objects,
		Amend: func(_ int, settings map[string]any) { settings["limits"] = map[string]any{"free_space": "1MiB"} },
	})
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, r.stage.Close()) }()
	r.node = r.stage.Nodes[nodes-1]
	if err := r.prepare(ctx, kind == "held"); err != nil {
		return f, err
	}
	return r.peak(ctx)
}

func (c Config) withDefaults() Config {
	if c.Chunks == 0 {
		c.Chunks = 25_000
	}
	if c.Clients == 0 {
		c.Clients = 1000
	}
	if c.Lasts == 0 {
		c.Lasts = 20 * time.Second
	}
	if c.Objects == 0 {
		c.Objects = 8
	}
	return c
}

func path(i int) string { return fmt.Sprintf("/files/object-%d", i) }

// prepare gives the node its chunks, and where fill is set what the clients
// read.
func (r *run) prepare(ctx context.Context, fill bool) error {
	if err := r.node.Stop(ctx); err != nil {
		return err
	}
	if err := stage.Populate(ctx, r.node.Drive, r.Chunks); err != nil {
		return fmt.Errorf("populate the drive: %w", err)
	}
	if err := r.node.Restart(ctx); err != nil {
		return err
	}
	if err := r.stage.Together(ctx); err != nil {
		return err
	}
	if fill {
		client, err := stage.Dial(ctx, r.node.Addr, 0)
		if err != nil {
			return err
		}
		defer client.Close()
		for i := range r.Objects {
			if _, err := client.Get(path(i), storage.Span{End: objectSize}, true); err != nil {
				return err
			}
		}
	}
	return stage.Indexed(ctx, r.node, r.Chunks)
}
