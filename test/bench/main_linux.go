package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// settings are what the flags say.
type settings struct {
	rounds  int
	clients int
	bytes   int64 // per measurement
	out     string
}

// insideEnv tells the program that it is in the namespace already; its value
// is what the bed could be given.
const insideEnv = "BENCH_INSIDE"

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var s settings
	var gib float64
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.IntVar(&s.rounds, "rounds", 9, "rounds; medians are taken")
	flags.IntVar(&s.clients, "clients", 16, "connections at one time")
	flags.Float64Var(&gib, "gib", 1, "GiB that each measurement moves")
	flags.StringVar(&s.out, "out", "out/bench.json", "file for the figures")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	s.bytes = int64(gib * (1 << 30))
	if s.rounds < 1 || s.clients < 1 || s.bytes < 1<<20 || flags.NArg() > 0 {
		fmt.Fprintln(stderr, "bench: -rounds and -clients are at least 1, -gib at least 0.001, and there are no arguments")
		return 2
	}
	var err error
	if os.Getenv(insideEnv) == "" {
		err = outside(ctx, args, stdout, stderr)
	} else {
		err = inside(ctx, s, stdout)
	}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return exit.ExitCode()
	case err != nil:
		fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	return 0
}

// outside installs what is missing, while there is a network, and runs the
// program again in a network namespace of its own where that is possible.
func outside(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	installNginx(ctx, stdout)
	self, err := os.Executable()
	if err != nil {
		return err
	}
	again := func(bed string, flags uintptr) error {
		cmd := exec.CommandContext(ctx, self, args...)
		cmd.Stdout, cmd.Stderr = stdout, stderr
		cmd.Env = append(os.Environ(), insideEnv+"="+bed)
		cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
		cmd.WaitDelay = 30 * time.Second
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags}
		return cmd.Run()
	}
	if os.Geteuid() == 0 {
		err := again("namespace", syscall.CLONE_NEWNET)
		if !errors.Is(err, syscall.EPERM) && !errors.Is(err, syscall.ENOSYS) && !errors.Is(err, syscall.EINVAL) {
			return err
		}
	}
	return again("plain", 0)
}
