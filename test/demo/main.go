package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/mccd/mccd/test/process/rows"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// settings are what the flags say.
type settings struct {
	clients int
	rate    int64
	out     string
	small   bool
}

// run is the demo with its exit code: 0, 1 for a promise that was not kept, 2
// for a wrong flag, 130 when interrupted.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var s settings
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.IntVar(&s.clients, "clients", 18, "clients in the herd, spread over three nodes")
	flags.Int64Var(&s.rate, "rate", 32, "what the origin sends at most, in MiB/s")
	flags.StringVar(&s.out, "out", "out/demo.json", "file for the figures")
	flags.BoolVar(&s.small, "small", false, "a tenth of the content, to see it quickly")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if s.clients < 3 || s.rate < 1 || flags.NArg() > 0 {
		fmt.Fprintln(stderr, "demo: -clients is at least 3, -rate at least 1, and there are no arguments")
		return 2
	}
	result, err := show(ctx, s, stdout)
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(stdout, "\n  Interrupted. Everything is stopped.")
		return 130
	case err != nil:
		fmt.Fprintln(stderr, "demo:", err)
		return 1
	}
	if err := rows.Write(s.out, result.rows()); err != nil {
		fmt.Fprintln(stderr, "demo:", err)
		return 1
	}
	result.print(stdout, s.out)
	if err := result.verdict(); err != nil {
		fmt.Fprintln(stderr, "demo:", err)
		return 1
	}
	return 0
}

// errBroken is the verdict on a run that broke a promise.
var errBroken = errors.New("a promise was not kept")
