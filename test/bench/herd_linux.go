package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"hash/crc32"
	"sync"
	"time"

	"github.com/mccd/mccd/test/bench/figures"
	"github.com/mccd/mccd/test/bench/load"
	"github.com/mccd/mccd/test/faultorigin"
)

const (
	// herdFiles is the limit of open files of every server.
	herdFiles = 4096
	// One client in herdCheck checks the bytes; the others count them.
	herdCheck = 10
	herdLimit = 5 * time.Minute
)

type herdFlags struct{ clients int }

func newHerd(flags *flag.FlagSet) target {
	var f herdFlags
	flags.IntVar(&f.clients, "herd-clients", 200, "clients of the herd")
	return target{name: "herd", about: "many clients ask for one cold object at once, 4096 open files for each server", run: f.run}
}

// herd is one cold object and those that want it.
type herd struct {
	clients int
	size    int64
	path    string
	sum     uint32 // CRC32C of the object
}

// herdResult is what one herd met.
type herdResult struct {
	last   time.Duration // until the last client was done
	failed int
	origin float64 // bytes of the origin by the object's size
	why    error   // of one that failed
}

func (f *herdFlags) run(ctx context.Context, b *bench) ([]figures.Finding, error) {
	h := &herd{clients: f.clients, size: 256 << 20}
	if b.smoke {
		h.clients, h.size = 20, 17<<20
	}
	starts := []herdStart{
		{"mccd", func(ctx context.Context, p place) (*subject, error) { return b.startNodes(ctx, "mccd", 1, p) }},
		{"three", func(ctx context.Context, p place) (*subject, error) { return b.startNodes(ctx, "three", 3, p) }},
	}
	for _, kind := range b.rivals(false) {
		starts = append(starts, herdStart{kind.Name, func(ctx context.Context, p place) (*subject, error) { return b.startRival(ctx, kind, p) }})
	}
	found := make(map[string][]herdResult)
	rounds := b.plan(5)
	rounds.total, rounds.dropped = rounds.total-rounds.dropped, 0 // all are cold: there is nothing to warm up
	for round := range rounds.total {
		for k := range starts {
			s := starts[(round+k)%len(starts)]
			r, err := h.once(ctx, s)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", s.name, err)
			}
			if r.why != nil {
				fmt.Fprintf(b.out, "  %s: %d of %d clients failed, one with: %v\n", s.name, r.failed, h.clients, r.why)
			}
			if rounds.counts(round) {
				found[s.name] = append(found[s.name], r)
			}
		}
	}
	return h.findings(starts, found), nil
}

// herdStart starts a subject with nothing in its cache.
type herdStart struct {
	name  string
	start func(ctx context.Context, p place) (*subject, error)
}

// once starts an origin and a subject, lets the herd loose and stops them.
func (h *herd) once(ctx context.Context, start herdStart) (herdResult, error) {
	o := objects{path: "/filestreamingservice/files/herd", count: 1, size: h.size}
	if h.path == "" {
		h.path = o.at(0)
		h.sum = checksum(h.path, h.size)
	}
	from, err := startOrigin(ctx, o)
	if err != nil {
		return herdResult{}, err
	}
	defer from.stop()
	s, err := start.start(ctx, place{origin: from, size: 2*h.size + 512<<20, files: herdFiles})
	if err != nil {
		return herdResult{}, err
	}
	defer s.stop()
	r, err := h.loose(ctx, s)
	if err != nil {
		return r, err
	}
	sent, err := from.sent(ctx, h.path)
	r.origin = float64(sent.Bytes) / float64(h.size)
	return r, err
}

// loose lets all clients ask at once.
func (h *herd) loose(ctx context.Context, s *subject) (herdResult, error) {
	ctx, cancel := context.WithTimeout(ctx, herdLimit)
	defer cancel()
	clients := make([]*load.Client, h.clients)
	for i := range clients {
		c, err := load.Dial(ctx, s.addrs[i%len(s.addrs)])
		if err != nil {
			return herdResult{}, err
		}
		defer c.Close()
		defer context.AfterFunc(ctx, c.Close)()
		clients[i] = c
	}
	errs := make([]error, h.clients)
	begun := time.Now()
	var wg sync.WaitGroup
	for i, c := range clients {
		wg.Go(func() {
			request := load.Request(s.target(h.path), s.addrs[i%len(s.addrs)], 0, 0)
			if i%herdCheck == 0 {
				errs[i] = h.check(c, request)
			} else {
				errs[i] = c.Get(request, "200", h.size, nil)
			}
		})
	}
	wg.Wait()
	r := herdResult{last: time.Since(begun)}
	for _, err := range errs {
		if err != nil {
			r.failed++
			r.why = err
		}
	}
	return r, nil
}

// check reads the object and compares its checksum.
func (h *herd) check(c *load.Client, request []byte) error {
	table, sum := crc32.MakeTable(crc32.Castagnoli), uint32(0)
	_, err := c.Read(request, "200", h.size, func(p []byte) error {
		sum = crc32.Update(sum, table, p)
		return nil
	})
	if err == nil && sum != h.sum {
		err = errors.New("the bytes are wrong")
	}
	return err
}

// checksum returns the CRC32C of the object at path.
func checksum(path string, size int64) uint32 {
	table, sum, buf := crc32.MakeTable(crc32.Castagnoli), uint32(0), make([]byte, 1<<20)
	for off := int64(0); off < size; off += int64(len(buf)) {
		p := buf[:min(int64(len(buf)), size-off)]
		faultorigin.Fill(p, path, faultorigin.DefaultVersion, off)
		sum = crc32.Update(sum, table, p)
	}
	return sum
}

// findings puts ours, at one node and at three, beside the rivals.
func (h *herd) findings(starts []herdStart, found map[string][]herdResult) []figures.Finding {
	pick := func(name string, of func(herdResult) float64) []float64 {
		var values []float64
		for _, r := range found[name] {
			values = append(values, of(r))
		}
		return values
	}
	sent := func(r herdResult) float64 { return r.origin }
	failed := func(r herdResult) float64 { return float64(r.failed) }
	last := func(r herdResult) float64 { return r.last.Seconds() * 1000 }
	both := func(of func(herdResult) float64) []float64 { return append(pick("mccd", of), pick("three", of)...) }
	all := []figures.Finding{
		figures.Largest("herd/origin", "origin bytes / object, worst round at one node and at three", both(sent)).Within(figures.AtMost(1), figures.Bound{}),
		figures.Largest("herd/failed", "clients, worst round at one node and at three", both(failed)).Within(figures.AtMost(0), figures.Bound{}),
	}
	for i, s := range starts {
		all = append(all, figures.Largest("herd/origin/"+s.name, "origin bytes / object, its worst round", pick(s.name, sent)))
		failures := figures.Largest("herd/failed/"+s.name, "clients, its worst round", pick(s.name, failed))
		all = append(all, failures)
		if i == 0 || failures.Value > 0 {
			continue // those who failed were soon done
		}
		f := figures.Compare("herd/last/"+s.name, "ms until the last client is done", pick("mccd", last), pick(s.name, last))
		if s.name == "varnish" {
			f = f.Within(figures.AtMost(1.25), figures.AtMost(1))
		}
		all = append(all, f)
	}
	return all
}
