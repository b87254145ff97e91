package main

import (
	"context"
	"flag"
	"time"

	"github.com/mccd/mccd/test/bench/amplify"
	"github.com/mccd/mccd/test/bench/capacity"
	"github.com/mccd/mccd/test/bench/figures"
	"github.com/mccd/mccd/test/bench/memory"
	"github.com/mccd/mccd/test/bench/startup"
)

// inFolder runs measure in a folder that is removed after it.
func (b *bench) inFolder(measure func(dir string) ([]figures.Finding, error)) ([]figures.Finding, error) {
	dir, err := b.folder("n")
	if err != nil {
		return nil, err
	}
	defer b.discard(dir)
	return measure(dir)
}

func newCapacity(flags *flag.FlagSet) target {
	var cfg capacity.Config
	flags.IntVar(&cfg.Nodes, "capacity-nodes", 4, "nodes")
	mib := flags.Int64("capacity-mib", 1024, "MiB of each node's drive")
	flags.Float64Var(&cfg.Fill, "capacity-fill", 0.6, "working set as a part of all drives")
	read := flags.Int64("capacity-read-kib", 1024, "KiB of one read")
	return target{
		name: "capacity", about: "a working set of 0.6 times all drives, read uniformly at random nodes",
		run: func(ctx context.Context, b *bench) ([]figures.Finding, error) {
			return b.inFolder(func(dir string) ([]figures.Finding, error) {
				c := cfg
				c.Bin, c.Dir, c.DriveBytes, c.Read = b.bin, dir, *mib<<20, *read<<10
				if b.smoke {
					c.Nodes, c.DriveBytes, c.Passes, c.Clients = 2, 128<<20, 0.5, 4
				}
				return capacity.Run(ctx, c, b.out)
			})
		},
	}
}

func newStart(flags *flag.FlagSet) target {
	var cfg startup.Config
	flags.IntVar(&cfg.Chunks, "start-chunks", 200_000, "chunk files on the drive, each of an object of its own")
	return target{
		name: "start", about: "from the start of a process with a full drive to its first hit",
		run: func(ctx context.Context, b *bench) ([]figures.Finding, error) {
			return b.inFolder(func(dir string) ([]figures.Finding, error) {
				c := cfg
				c.Bin, c.Dir, c.Rounds = b.bin, dir, b.rounds
				if b.smoke {
					// The caches are everybody's: only a benchmark drops them.
					c.Chunks, c.Rounds, c.Warm = 200, 1, true
				}
				return startup.Run(ctx, c, b.out)
			})
		},
	}
}

func newMemory(flags *flag.FlagSet) target {
	var cfg memory.Config
	flags.IntVar(&cfg.Chunks, "memory-chunks", 25_000, "chunks indexed")
	flags.IntVar(&cfg.Clients, "memory-clients", 1000, "clients at work, half of them slow")
	return target{
		name: "memory", about: "what a node keeps in memory with 1,000 clients and 25,000 chunks",
		run: func(ctx context.Context, b *bench) ([]figures.Finding, error) {
			return b.inFolder(func(dir string) ([]figures.Finding, error) {
				c := cfg
				c.Bin, c.Dir = b.bin, dir
				if b.smoke {
					c.Chunks, c.Clients, c.Lasts, c.Objects = 100, 20, 500*time.Millisecond, 1
				}
				return memory.Run(ctx, c, b.out)
			})
		},
	}
}

func newOrigin(flags *flag.FlagSet) target {
	var cfg amplify.Config
	flags.IntVar(&cfg.Nodes, "origin-nodes", 3, "nodes")
	flags.IntVar(&cfg.Clients, "origin-clients", 60, "clients of a herd")
	flags.StringVar(&cfg.Only, "origin-only", "", "the one row to measure, such as join")
	return target{
		name: "origin", about: "what is asked of the origin beside what clients ask for",
		run: func(ctx context.Context, b *bench) ([]figures.Finding, error) {
			return b.inFolder(func(dir string) ([]figures.Finding, error) {
				c := cfg
				c.Bin, c.Dir = b.bin, dir
				if b.smoke {
					c.Nodes, c.Size, c.Clients, c.Ranges, c.Calm = 2, 32<<20, 4, 16, true
				}
				return amplify.Run(ctx, c, b.out)
			})
		},
	}
}
