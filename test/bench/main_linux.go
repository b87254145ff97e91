package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/mccd/mccd/test/bench/figures"
)

// roleEnv tells the program what it is to be: nothing for the one that the
// user started, roleBed in the namespaces, roleOrigin for the origin's process.
const (
	roleEnv    = "BENCH_ROLE"
	roleBed    = "bed"
	roleOrigin = "origin"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var err error
	if os.Getenv(roleEnv) == roleOrigin {
		err = serveOrigin(ctx, args, stdout)
	} else {
		err = start(ctx, args, stdout, stderr)
	}
	var inside insideError
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 2
	case errors.Is(err, errNoBed):
		fmt.Fprintln(stderr, "bench:", err)
		return codeNoBed
	case errors.As(err, &inside):
		return max(int(inside), 1)
	case err != nil:
		fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	return 0
}

// start runs the targets that args name, in a bed.
func start(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	b := bench{out: stdout}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	all := targets(flags)
	names := flags.String("target", "hit", "what to measure, comma-separated: "+describe(all))
	flags.IntVar(&b.rounds, "rounds", 0, "rounds that count; 0 = as many as the target takes")
	flags.BoolVar(&b.smoke, "smoke", false, "only see that it works: sizes of seconds, one round; the figures mean nothing")
	flags.StringVar(&b.to, "out", "out", "`folder` for the rows")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	chosen, err := choose(all, *names)
	if err != nil {
		return err
	}
	if os.Getenv(roleEnv) != roleBed {
		return inBed(ctx, args, stdout, stderr)
	}
	bed, err := prepareBed()
	if err != nil {
		return err
	}
	b.dir, b.bin = os.Getenv(dirEnv), os.Getenv(binEnv)
	fmt.Fprintf(stdout, "Bed: %s\n", bed)
	for _, t := range chosen {
		if err := b.measure(ctx, t); err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
	}
	return nil
}

// measure runs one target.
func (b *bench) measure(ctx context.Context, t target) error {
	fmt.Fprintf(b.out, "\nbench-%s: %s\n", t.name, t.about)
	findings, err := t.run(ctx, b)
	if err != nil {
		return err
	}
	figures.Print(b.out, findings)
	return figures.Write(b.to+"/bench-"+t.name+".json", findings)
}

// choose returns the targets that names, comma-separated, are.
func choose(all []target, names string) ([]target, error) {
	var chosen []target
next:
	for name := range strings.SplitSeq(names, ",") {
		for _, t := range all {
			if t.name == name {
				chosen = append(chosen, t)
				continue next
			}
		}
		return nil, fmt.Errorf("no target %q: there are %s", name, describe(all))
	}
	return chosen, nil
}
