package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := start(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

func start(ctx context.Context, args []string) error {
	cfg := config{out: os.Stdout, settle: 3 * time.Minute}
	flags := flag.NewFlagSet("soak", flag.ContinueOnError)
	flags.IntVar(&cfg.nodes, "nodes", 3, "nodes")
	flags.IntVar(&cfg.clients, "clients", 500, "clients at one time")
	flags.IntVar(&cfg.contentMiB, "content", 24<<10, "MiB of objects")
	flags.IntVar(&cfg.drivesMiB, "drives", 2<<10, "MiB of all drives together")
	flags.DurationVar(&cfg.length, "for", 5*time.Minute, "how long")
	flags.StringVar(&cfg.to, "out", "out", "`folder` for what is written")
	flags.StringVar(&cfg.dir, "dir", "", "folder for the drives; empty = a temporary one")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if cfg.dir == "" {
		dir, err := os.MkdirTemp("", "mccd-soak-")
		if err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(dir) }()
		cfg.dir = dir
	}
	r, err := soak(ctx, cfg)
	if r != nil {
		if werr := r.write(cfg.to); werr != nil && err == nil {
			err = werr
		}
		r.print(cfg.out)
		fmt.Fprintln(cfg.out, "written:", filepath.Join(cfg.to, "soak.csv"), filepath.Join(cfg.to, "soak.svg"), filepath.Join(cfg.to, "soak.json"))
	}
	if err != nil {
		return err
	}
	return r.verdict(1.1)
}
