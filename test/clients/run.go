package clients

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/mccd/mccd/test/clients/agent"
	"github.com/mccd/mccd/test/clients/lite"
	"github.com/mccd/mccd/test/clients/windows"
)

// Config says who downloads what.
type Config struct {
	// Names are what DOCacheHost says, in order; a Lite client knows the first
	// only. CDN is the address at which every origin host is reached directly.
	Names []*agent.Name
	CDN   string
	// Objects are downloaded in turn, in an order by Seed.
	Objects []*agent.Object
	// Downloads are made in all, by Machines at once; each machine is one client
	// with bans of its own, every second one a Windows agent; 0 = 16.
	Downloads, Machines int
	// OnlyLite, OnlyWindows leave the others out.
	OnlyLite, OnlyWindows bool
	// Pauses is the share of Lite's downloads that are paused, up to three times.
	Pauses float64
	Seed   uint64
	// Times are agent.Contract's unless set.
	Times agent.Times
	// Done is told of each download; may be nil. It is called one at a time.
	Done func(*agent.Report)
}

// Run makes the downloads and returns what they were like. When ctx ends, the
// rest fail.
func Run(ctx context.Context, cfg Config) *Result {
	if cfg.Machines <= 0 {
		cfg.Machines = 16
	}
	if cfg.Times == (agent.Times{}) {
		cfg.Times = agent.Contract()
	}
	result := &Result{Began: time.Now()}
	jobs := make(chan int)
	go func() {
		defer close(jobs)
		for i := range cfg.Downloads {
			select {
			case jobs <- i:
			case <-ctx.Done():
				return
			}
		}
	}()
	order := rand.New(rand.NewPCG(cfg.Seed, 1)).Perm(len(cfg.Objects))
	var mu sync.Mutex // guards result, and serialises Done
	var all sync.WaitGroup
	for m := range cfg.Machines {
		all.Go(func() {
			download := cfg.machine(m)
			for i := range jobs {
				o := cfg.Objects[order[i%len(order)]]
				r := download(ctx, o, rand.New(rand.NewPCG(cfg.Seed, uint64(i)+2)))
				mu.Lock()
				result.Reports = append(result.Reports, r)
				if cfg.Done != nil {
					cfg.Done(r)
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	result.Took = time.Since(result.Began)
	return result
}

// machine returns the client of machine m, as what it does with one object.
func (cfg *Config) machine(m int) func(context.Context, *agent.Object, *rand.Rand) *agent.Report {
	bans := agent.NewBans(nil)
	if cfg.OnlyLite || m%2 == 0 && !cfg.OnlyWindows {
		c := &lite.Client{Name: cfg.Names[0], CDN: cfg.CDN, Bans: bans, Times: cfg.Times}
		return func(ctx context.Context, o *agent.Object, rnd *rand.Rand) *agent.Report {
			job := lite.Job{Object: o}
			if rnd.Float64() < cfg.Pauses {
				job.Pauses = pauses(rnd, o.Size)
			}
			return c.Download(ctx, job)
		}
	}
	c := &windows.Client{Names: cfg.Names, CDN: cfg.CDN, Bans: bans, Times: cfg.Times}
	return func(ctx context.Context, o *agent.Object, _ *rand.Rand) *agent.Report { return c.Download(ctx, o) }
}

// pauses returns one to three places within an object.
func pauses(rnd *rand.Rand, size int64) []int64 {
	var out []int64
	for range 1 + rnd.IntN(3) {
		if size > 1 {
			out = append(out, 1+rnd.Int64N(size-1))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
