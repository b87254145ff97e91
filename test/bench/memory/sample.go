package memory

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/mccd/mccd/test/process"
)

// sampleEvery is how often the node's memory is looked at.
const sampleEvery = 200 * time.Millisecond

// usage is what the node had in memory at one moment.
type usage struct {
	process.Usage
	// heap is what live and dead objects take, stacks those of goroutines.
	heap, stacks float64
	goroutines   int
	// clients is the most connections that the node counted.
	clients int
}

// sample looks at the node once. What a busy node does not tell of itself in
// time is left as it was in last; how much it has comes from the kernel.
func (r *run) sample(ctx context.Context, last usage) (f usage, err error) {
	f = last
	if f.Usage, err = r.node.Usage(); err != nil {
		return f, err
	}
	m, err := r.node.Metrics(ctx)
	if err != nil {
		return f, nil //nolint:nilerr // the next one tells
	}
	f.heap, f.stacks = m.Sum("go_memstats_heap_inuse_bytes"), m.Sum("go_memstats_stack_inuse_bytes")
	f.goroutines, f.clients = int(m.Sum("go_goroutines")), max(f.clients, int(m.Sum("mccd_gateway_connections")))
	return f, nil
}

func (f usage) print(out io.Writer, what string) {
	fmt.Fprintf(out, "  %-28s %4d MiB resident: %d anonymous, %d files, %d memory files; Go: heap %.0f, stacks %.0f MiB, %d goroutines; %d connections\n",
		what+":", f.Resident/mib, f.Anonymous/mib, f.File/mib, f.Shared/mib, f.heap/mib, f.stacks/mib, f.goroutines, f.clients)
}

// peak lets all clients work for as long as Lasts says, and returns the highest usage
// seen once all were connected; all must have been at work to the end.
func (r *run) peak(ctx context.Context) (highest usage, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make(chan struct{})
	working := r.work(ctx, cancel, done)
	end := time.NewTimer(r.Lasts)
	defer end.Stop()
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for over := false; !over && err == nil; {
		select {
		case <-tick.C:
			var f usage
			if f, err = r.sample(ctx, highest); f.Resident > highest.Resident {
				highest = f
			}
			highest.clients = f.clients
		case <-end.C:
			over = true
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
	}
	close(done)
	working.Wait()
	if err == nil {
		err = context.Cause(ctx)
	}
	if err == nil && highest.clients < r.Clients {
		err = fmt.Errorf("at most %d of %d clients were connected", highest.clients, r.Clients)
	}
	return highest, err
}
