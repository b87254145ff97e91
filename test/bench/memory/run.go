package memory

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/bench/stage"
	"github.com/mccd/mccd/test/faultorigin"
	"github.com/mccd/mccd/test/process"
	"github.com/mccd/mccd/test/process/rows"
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

// run is one measurement.
type run struct {
	Config
	stage *stage.Stage
	node  *process.Node
}

// Run measures and prints what it finds to out.
func Run(ctx context.Context, cfg Config, out io.Writer) (_ []rows.Row, err error) {
	r := &run{Config: cfg.withDefaults()}
	objects := make([]faultorigin.Object, 0, 2*r.Objects)
	for _, kind := range []string{"held", "cold"} {
		for i := range r.Objects {
			objects = append(objects, faultorigin.Object{Path: path(kind, i), Size: objectSize})
		}
	}
	r.stage, err = stage.Begin(ctx, stage.Config{
		Bin: r.Bin, Dir: r.Dir, DriveSize: "8GiB", Objects: objects,
		Amend: func(_ int, settings map[string]any) { settings["limits"] = map[string]any{"free_space": "1MiB"} },
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.stage.Close()) }()
	r.node = r.stage.Nodes[0]
	fmt.Fprintf(out, "Memory: one node, %d chunks on its drive, %d clients, half of them slow\n", r.Chunks, r.Clients)
	if err := r.prepare(ctx); err != nil {
		return nil, err
	}
	idle, err := r.sample(ctx)
	if err != nil {
		return nil, err
	}
	idle.print(out, "indexed, no client")
	held, err := r.peak(ctx, func(i int) client { return r.client(i, "held") })
	if err != nil {
		return nil, fmt.Errorf("clients of what is held: %w", err)
	}
	held.print(out, "clients of what is held")
	cold, err := r.peak(ctx, func(i int) client { return r.client(i, "cold") })
	if err != nil {
		return nil, fmt.Errorf("clients of cold content: %w", err)
	}
	cold.print(out, "clients of cold content")
	row := func(name, what string, f figures) rows.Row {
		return rows.New(name, float64(f.Resident)/mib, must/mib, fmt.Sprintf(
			"MiB resident (VmRSS, highest seen) with %d clients %s and %d chunks indexed, less than %d; of it %.0f MiB anonymous, %.0f MiB files, %.0f MiB memory files",
			r.Clients, what, r.Chunks, must/mib, float64(f.Anonymous)/mib, float64(f.File)/mib, float64(f.Shared)/mib))
	}
	return []rows.Row{row("memory/rss", "of what is held", held), row("memory/rss/cold", "of cold content", cold)}, nil
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

func path(kind string, i int) string { return fmt.Sprintf("/files/%s-%d", kind, i) }

// prepare gives the node its chunks, and what the clients of held content read.
func (r *run) prepare(ctx context.Context) error {
	if err := r.node.Stop(ctx); err != nil {
		return err
	}
	if err := stage.Populate(ctx, r.node.Drive, r.Chunks); err != nil {
		return fmt.Errorf("populate the drive: %w", err)
	}
	if err := r.node.Restart(ctx); err != nil {
		return err
	}
	client, err := stage.Dial(ctx, r.node.Addr, 0)
	if err != nil {
		return err
	}
	defer client.Close()
	for i := range r.Objects {
		if _, err := client.Get(path("held", i), storage.Span{End: objectSize}, true); err != nil {
			return err
		}
	}
	return process.Poll(ctx, func(ctx context.Context) error {
		m, err := r.node.Metrics(ctx)
		if err != nil {
			return err
		}
		if found := int(m.Sum("mccd_disk_chunks")); found < r.Chunks {
			return fmt.Errorf("%d of %d chunks found", found, r.Chunks)
		}
		return nil
	})
}
