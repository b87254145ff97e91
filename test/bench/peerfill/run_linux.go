package peerfill

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/pprof"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/bench/figures"
)

// Config says what is measured.
type Config struct {
	// Dir is an empty folder for the files of both.
	Dir string
	// Rounds that count, after WarmUp others: connections, pools and the memory
	// of the page cache are there then.
	Rounds, WarmUp int
	// Chunks of 8 MiB that each round moves.
	Chunks int
	// Connections of the reference.
	Connections int
	// Profile is a file for a CPU profile of the last round of the path between
	// nodes; empty = none.
	Profile string
}

// Run alternates between both ways; ratios are taken within a round.
func Run(ctx context.Context, cfg Config, out io.Writer) ([]figures.Finding, error) {
	size := int64(cfg.Chunks) * storage.ChunkSize
	fmt.Fprintf(out, "%d rounds of %d MiB, both ends of both ways in one process\n", cfg.Rounds, size>>20)
	nodes, err := startNodes(ctx, cfg.Dir, cfg.Chunks)
	if err != nil {
		return nil, err
	}
	defer nodes.stop()
	files, err := startFiles(cfg.Dir, cfg.Chunks, cfg.Connections, nodes.certificates())
	if err != nil {
		return nil, err
	}
	defer files.stop()
	var ours, theirs costs
	for round := range cfg.WarmUp + cfg.Rounds {
		profile := ""
		if round == cfg.WarmUp+cfg.Rounds-1 {
			profile = cfg.Profile
		}
		a, err := measured(size, func() error {
			return profiled(profile, func() error { return nodes.move(ctx) })
		})
		if err != nil {
			return nil, fmt.Errorf("fill: %w", err)
		}
		b, err := measured(size, func() error { return files.move(ctx) })
		if err != nil {
			return nil, fmt.Errorf("reference: %w", err)
		}
		if round >= cfg.WarmUp {
			ours, theirs = append(ours, a), append(theirs, b)
		}
	}
	return []figures.Finding{
		figures.Compare("peer/cpu/h1tls", "CPU-s per GiB of both ends", ours.cpu(), theirs.cpu()).
			Within(figures.AtMost(1.25), figures.AtMost(1)),
		figures.Compare("peer/throughput/h1tls", "MiB/s", ours.throughput(), theirs.throughput()),
		figures.Single("peer/allocated", "MB per GiB of both ends", ours.allocated()).Within(figures.AtMost(40), figures.Bound{}),
	}, nil
}

// profiled writes a profile of work to file; empty = it only works.
func profiled(file string, work func() error) error {
	if file == "" {
		return work()
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return errors.Join(err, f.Close())
	}
	err = work()
	pprof.StopCPUProfile()
	return errors.Join(err, f.Close())
}
