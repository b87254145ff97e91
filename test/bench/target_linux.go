package main

import (
	"context"
	"flag"
	"io"
	"os"
	"strings"

	"github.com/mccd/mccd/test/bench/figures"
)

// target is one thing that can be measured.
type target struct {
	name, about string
	// run measures, with what the target's own flags say.
	run func(ctx context.Context, b *bench) ([]figures.Finding, error)
}

// bench is what a target is given.
type bench struct {
	// rounds that count, 0 = the target's own number (see plan).
	rounds int
	// smoke asks for sizes of seconds.
	smoke bool
	// dir is a folder that is removed at the end, bin the mccd program, out
	// what a person reads, to the folder for rows.
	dir, bin string
	out      io.Writer
	to       string
}

// targets returns all there are; each one adds its own flags, which begin with
// its name.
func targets(flags *flag.FlagSet) []target {
	return []target{
		newHit(flags), newTLS(flags), newHerd(flags), newFollow(flags),
		newPeer(flags), newCapacity(flags), newStart(flags), newMemory(flags), newOrigin(flags),
	}
}

func describe(all []target) string {
	names := make([]string, 0, len(all))
	for _, t := range all {
		names = append(names, t.name)
	}
	return strings.Join(names, ", ")
}

// rounds are those that a target measures, in order.
type rounds struct{ total, dropped int }

// counts reports whether round i does; those that do not warm up.
func (r rounds) counts(i int) bool { return i >= r.dropped }

// plan returns the rounds of a target that takes so many by itself.
func (b *bench) plan(own int) rounds {
	switch {
	case b.rounds > 0:
		own = b.rounds
	case b.smoke:
		return rounds{total: 1}
	}
	return rounds{total: own + 1, dropped: 1}
}

// folder makes a new folder; its name is short, since sockets lie below it.
func (b *bench) folder(prefix string) (string, error) { return os.MkdirTemp(b.dir, prefix) }

// discard removes a folder whose content would only take room; what it leaves
// goes with b.dir.
func (b *bench) discard(dir string) { _ = os.RemoveAll(dir) }
