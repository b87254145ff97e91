package main

import (
	"context"
	"flag"

	"github.com/mccd/mccd/test/bench/figures"
	"github.com/mccd/mccd/test/bench/peerfill"
)

func newPeer(flags *flag.FlagSet) target {
	var cfg peerfill.Config
	flags.IntVar(&cfg.Chunks, "peer-chunks", 64, "chunks of 8 MiB of one round")
	flags.IntVar(&cfg.Connections, "peer-connections", 4, "connections of the reference")
	flags.StringVar(&cfg.Profile, "peer-profile", "", "`file` for a CPU profile of a round of the path between nodes")
	return target{
		name: "peer", about: "a fill from another node beside HTTP/1.1 over TLS that moves the same files",
		run: func(ctx context.Context, b *bench) ([]figures.Finding, error) {
			return b.inFolder(func(dir string) ([]figures.Finding, error) {
				c := cfg
				c.Dir = dir
				plan := b.plan(9)
				c.Rounds, c.WarmUp = plan.total-plan.dropped, 2
				if b.smoke {
					c.Chunks, c.WarmUp = 4, 0
				}
				return peerfill.Run(ctx, c, b.out)
			})
		},
	}
}
