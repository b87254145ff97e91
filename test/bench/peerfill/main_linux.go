package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/pprof"
	"slices"
	"syscall"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/process/rows"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "peerfill:", err)
		os.Exit(1)
	}
}

// settings are what the flags say.
type settings struct {
	rounds      int
	chunks      int // of a round
	connections int // of the reference
	dir, out    string
	profile     string
}

// warmUp is how many rounds are not counted: connections, pools and the memory
// of the page cache are there after them.
const warmUp = 2

func run(ctx context.Context, args []string, out io.Writer) error {
	var s settings
	flags := flag.NewFlagSet("peerfill", flag.ContinueOnError)
	flags.IntVar(&s.rounds, "rounds", 9, "rounds; medians are taken")
	flags.IntVar(&s.chunks, "chunks", 64, "chunks of 8 MiB that each round moves")
	flags.IntVar(&s.connections, "connections", 4, "connections of the reference")
	flags.StringVar(&s.dir, "dir", "", "folder for the files of both; empty = the system's for temporary files")
	flags.StringVar(&s.out, "out", "out/bench-peer.json", "file for the figures")
	flags.StringVar(&s.profile, "profile", "", "file for a CPU profile of the path between nodes alone")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if s.rounds < 1 || s.chunks < 1 || s.connections < 1 || flags.NArg() > 0 {
		return errors.New("-rounds, -chunks and -connections are at least 1, and there are no arguments")
	}
	measured, err := measureAll(ctx, s, out)
	if err != nil {
		return err
	}
	return rows.Write(s.out, measured)
}

// measureAll alternates between both ways and returns medians; a ratio is the
// median of the rounds' ratios.
func measureAll(ctx context.Context, s settings, out io.Writer) ([]rows.Row, error) {
	fmt.Fprintf(out, "Fill from another node beside HTTP/1.1 over TLS: %d rounds of %d MiB, both ends of each in one process\n",
		s.rounds, int64(s.chunks)*storage.ChunkSize>>20)
	dir, err := os.MkdirTemp(s.dir, "mccd-bench-peer-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	nodes, err := startNodes(ctx, dir, s.chunks)
	if err != nil {
		return nil, err
	}
	defer nodes.stop()
	files, err := startFiles(dir, s.chunks, s.connections, nodes.certificates())
	if err != nil {
		return nil, err
	}
	defer files.stop()
	var ours, theirs []figures
	for round := range s.rounds + warmUp {
		a, err := nodes.measure(ctx, s)
		if err != nil {
			return nil, fmt.Errorf("fill: %w", err)
		}
		b, err := measured(int64(s.chunks)*storage.ChunkSize, func() error { return files.move(ctx) })
		if err != nil {
			return nil, fmt.Errorf("reference: %w", err)
		}
		if round >= warmUp {
			ours, theirs = append(ours, a), append(theirs, b)
		}
	}
	for i := range ours {
		fmt.Fprintf(out, "  round %d: CPU-s per GiB %.3f and %.3f\n", i+1, ours[i].cpuPerGiB, theirs[i].cpuPerGiB)
	}
	all := []rows.Row{
		compared("peer/cpu/h1tls", "CPU-s per GiB of both ends", ours, theirs, func(f figures) float64 { return f.cpuPerGiB }),
		compared("peer/throughput/h1tls", "MiB/s", ours, theirs, func(f figures) float64 { return f.mibPerSecond }),
		compared("peer/allocated", "MB per GiB of both ends, and that of the reference", ours, theirs, func(f figures) float64 { return f.allocated }),
	}
	for _, r := range all {
		fmt.Fprintf(out, "  %-24s mccd %9.3f  h1tls %9.3f  ratio %6.3f  %s\n", r.Name, r.Value, r.Reference, r.Ratio, r.Unit)
	}
	return all, nil
}

func compared(name, unit string, ours, theirs []figures, of func(figures) float64) rows.Row {
	r := rows.New(name, median(pick(ours, of)), median(pick(theirs, of)), fmt.Sprintf("%s, median of %d rounds", unit, len(ours)))
	ratios := make([]float64, len(ours))
	for i := range ours {
		ratios[i] = of(ours[i]) / of(theirs[i])
	}
	r.Ratio = median(ratios)
	return r
}

func pick(all []figures, of func(figures) float64) []float64 {
	values := make([]float64, len(all))
	for i, f := range all {
		values[i] = of(f)
	}
	return values
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
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
		return err
	}
	err = work()
	pprof.StopCPUProfile()
	return errors.Join(err, f.Close())
}
