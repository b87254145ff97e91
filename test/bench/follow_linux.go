package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"sync"
	"time"

	"github.com/mccd/mccd/test/bench/figures"
	"github.com/mccd/mccd/test/bench/load"
	"github.com/mccd/mccd/test/faultorigin"
)

// followDelay is how much later the second client comes.
const followDelay = 200 * time.Millisecond

func newFollow(flags *flag.FlagSet) target {
	var rate float64
	flags.Float64Var(&rate, "follow-mib", 2, "MiB/s that the origin sends")
	return target{
		name:  "follow",
		about: "a cold object of a slow origin: the first byte, that of a second client 200 ms later, the longest gap",
		run: func(ctx context.Context, b *bench) ([]figures.Finding, error) {
			f := &follow{size: 10 << 20, rate: int64(rate * (1 << 20))}
			if b.smoke {
				f.size = 1 << 20
			}
			return f.run(ctx, b)
		},
	}
}

// follow is a slow origin and those that follow it.
type follow struct {
	size, rate int64
	origin     *origin
	objects    objects
	subjects   []*subject // the origin itself first, then ours
}

// followResult holds ms.
type followResult struct {
	first, second, gap float64
}

func (f *follow) run(ctx context.Context, b *bench) (found []figures.Finding, err error) {
	rounds, kinds := b.plan(9), b.rivals(false)
	// Each measurement needs an object that nobody has seen.
	f.objects = objects{path: "/filestreamingservice/files/follow", count: rounds.total * (len(kinds) + 2), size: f.size, rate: f.rate}
	if f.origin, err = startOrigin(ctx, f.objects); err != nil {
		return nil, err
	}
	defer f.origin.stop()
	defer func() {
		for _, s := range f.subjects {
			s.stop()
		}
	}()
	p := place{origin: f.origin, size: int64(rounds.total)*f.size + 512<<20}
	ours, err := b.startNodes(ctx, "mccd", 1, p)
	if err != nil {
		return nil, err
	}
	direct := &subject{name: "origin", addrs: []string{f.origin.addr}, stop: func() {}}
	f.subjects = append(f.subjects, direct, ours)
	for _, kind := range kinds {
		s, err := b.startRival(ctx, kind, p)
		if err != nil {
			return nil, err
		}
		f.subjects = append(f.subjects, s)
	}
	results := make([][]followResult, len(f.subjects))
	next := 0
	for round := range rounds.total {
		for i, s := range f.subjects {
			r, err := f.once(ctx, s, f.objects.at(next), i > 0)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", s.name, err)
			}
			next++
			if rounds.counts(round) {
				results[i] = append(results[i], r)
			}
		}
	}
	return f.findings(results), nil
}

// once has one client read the object at path, and a second one if two.
func (f *follow) once(ctx context.Context, s *subject, path string, two bool) (followResult, error) {
	var times [2]load.Times
	var errs [2]error
	var wg sync.WaitGroup
	wg.Go(func() { times[0], errs[0] = f.read(ctx, s, path) })
	if two {
		timer := time.NewTimer(followDelay)
		defer timer.Stop()
		<-timer.C
		wg.Go(func() { times[1], errs[1] = f.read(ctx, s, path) })
	}
	wg.Wait()
	ms := func(d time.Duration) float64 { return d.Seconds() * 1000 }
	return followResult{ms(times[0].First), ms(times[1].First), ms(times[0].Gap)}, errors.Join(errs[:]...)
}

// read reads and checks the object at path.
func (f *follow) read(ctx context.Context, s *subject, path string) (load.Times, error) {
	c, err := load.Dial(ctx, s.addrs[0])
	if err != nil {
		return load.Times{}, err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, c.Close)()
	var at int64
	return c.Read(load.Request(s.target(path), s.addrs[0], 0, 0), "200", f.size, func(p []byte) error {
		if bad := faultorigin.Check(p, path, faultorigin.DefaultVersion, at); bad >= 0 {
			return fmt.Errorf("byte %d is wrong", bad)
		}
		at += int64(len(p))
		return nil
	})
}

// findings puts ours beside the origin asked directly, and beside the rivals.
func (f *follow) findings(results [][]followResult) []figures.Finding {
	pick := func(i int, of func(followResult) float64) []float64 {
		var values []float64
		for _, r := range results[i] {
			values = append(values, of(r))
		}
		return values
	}
	first := func(r followResult) float64 { return r.first }
	second := func(r followResult) float64 { return r.second }
	gap := func(r followResult) float64 { return r.gap }
	later := func(i int) []float64 {
		values := pick(i, first)
		for k, v := range pick(0, first) {
			values[k] = max(0, values[k]-v)
		}
		return values
	}
	all := []figures.Finding{
		figures.Single("follow/first", "ms after the origin's own first byte", later(1)).Within(figures.AtMost(10), figures.AtMost(4)),
		figures.Single("follow/second", "ms to the first byte of a second client 200 ms later", pick(1, second)).Within(figures.AtMost(10), figures.Bound{}),
		figures.Compare("follow/gap", "ms, longest gap, beside the origin's own", pick(1, gap), pick(0, gap)).Within(figures.AtMost(2), figures.Bound{}),
	}
	for i, s := range f.subjects {
		if i < 2 {
			continue
		}
		all = append(all,
			figures.Compare("follow/first/"+s.name, "ms after the origin's own first byte", later(1), later(i)),
			figures.Compare("follow/second/"+s.name, "ms to the first byte of a second client", pick(1, second), pick(i, second)),
			figures.Compare("follow/gap/"+s.name, "ms, longest gap", pick(1, gap), pick(i, gap)))
	}
	return all
}
