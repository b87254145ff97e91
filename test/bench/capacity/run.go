package capacity

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mccd/mccd/ring"
	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/bench/figures"
	"github.com/mccd/mccd/test/bench/stage"
	"github.com/mccd/mccd/test/faultorigin"
)

const (
	// must is the largest share of what is read that the origin may send.
	must       = 0.02
	objectSize = 64 << 20
	// checkEvery is which reads are checked byte by byte.
	checkEvery = 16
)

// Config says what is measured. Zero values mean what each field says.
type Config struct {
	// Bin is the program, Dir where the nodes' directories are made. Required.
	Bin, Dir string
	// Nodes is how many; 0 = 4. DriveBytes is the limit of each; 0 = 1 GiB.
	Nodes      int
	DriveBytes int64
	// Fill is the working set as a part of all drives; 0 = 0.6.
	Fill float64
	// Read is the length of one read, a divisor of the chunk's length; 0 = 1 MiB.
	Read int64
	// Passes is how often as much as the working set is read at random; 0 = 2.
	Passes float64
	// Clients is how many read at one time; 0 = 16.
	Clients int
}

func (c Config) withDefaults() Config {
	if c.Nodes == 0 {
		c.Nodes = 4
	}
	if c.DriveBytes == 0 {
		c.DriveBytes = 1 << 30
	}
	if c.Fill == 0 {
		c.Fill = 0.6
	}
	if c.Read == 0 {
		c.Read = storage.PieceSize
	}
	if c.Passes == 0 {
		c.Passes = 2
	}
	if c.Clients == 0 {
		c.Clients = 16
	}
	return c
}

// run is one measurement.
type run struct {
	Config
	stage   *stage.Stage
	objects []faultorigin.Object
	reads   int // in one pass
}

// result is what one pass or phase found.
type result struct {
	read, origin, hit, peer int64
	took                    time.Duration
}

// Run measures and prints what it finds to out.
func Run(ctx context.Context, cfg Config, out io.Writer) (_ []figures.Finding, err error) {
	r := &run{Config: cfg.withDefaults()}
	set := int64(r.Fill * float64(r.Nodes) * float64(r.DriveBytes))
	for at := int64(0); at < set; at += objectSize {
		r.objects = append(r.objects, faultorigin.Object{Path: fmt.Sprintf("/files/capacity-%d", at/objectSize), Size: objectSize})
	}
	// What is left over of the last object is left out of the working set.
	r.reads = int(set / r.Read)
	fmt.Fprintf(out, "Capacity: %d nodes of %d MiB, working set %d MiB (%.2f of their sum), uniform reads of %d KiB by %d clients\n",
		r.Nodes, r.DriveBytes>>20, set>>20, r.Fill, r.Read>>10, r.Clients)
	r.stage, err = stage.Begin(ctx, stage.Config{
		Bin: r.Bin, Dir: r.Dir, Nodes: r.Nodes, DriveSize: fmt.Sprintf("%dMiB", r.DriveBytes>>20), Objects: r.objects,
		Amend: func(_ int, settings map[string]any) { settings["limits"] = map[string]any{"free_space": "1MiB"} },
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.stage.Close()) }()
	first, err := r.pass(ctx, r.reads, func(i int, _ *rand.Rand) int { return i })
	if err != nil {
		return nil, fmt.Errorf("first pass: %w", err)
	}
	r.print(out, "first pass, in order", first)
	uniform, err := r.pass(ctx, int(r.Passes*float64(r.reads)), func(_ int, rnd *rand.Rand) int { return rnd.IntN(r.reads) })
	if err != nil {
		return nil, fmt.Errorf("uniform reads: %w", err)
	}
	r.print(out, "uniform reads", uniform)
	if err := r.printNodes(ctx, out); err != nil {
		return nil, err
	}
	share := float64(uniform.origin) / float64(uniform.read)
	f := figures.Single("capacity/origin", fmt.Sprintf("bytes the origin sent / bytes read uniformly after one pass; working set %.2f x %d drives of %d MiB",
		r.Fill, r.Nodes, r.DriveBytes>>20), []float64{share})
	return []figures.Finding{f.Within(figures.AtMost(must), figures.Bound{})}, nil
}

// pass makes reads of pieces that pick chooses, each at a random node.
func (r *run) pass(ctx context.Context, reads int, pick func(i int, rnd *rand.Rand) int) (result, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	before, err := r.counts(ctx)
	if err != nil {
		return result{}, err
	}
	begun := time.Now()
	var next atomic.Int64
	var wg sync.WaitGroup
	for k := range r.Clients {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(k), uint64(reads)))
			if err := r.client(ctx, rnd, func() (int, bool) {
				i := int(next.Add(1) - 1)
				return pick(min(i, reads-1), rnd), i < reads && ctx.Err() == nil
			}); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	took := time.Since(begun)
	if err := context.Cause(ctx); err != nil {
		return result{}, err
	}
	after, err := r.counts(ctx)
	return result{
		read: int64(reads) * r.Read, origin: after.origin - before.origin,
		hit: after.hit - before.hit, peer: after.peer - before.peer, took: took,
	}, err
}

// client reads what next says, over one connection to each node.
func (r *run) client(ctx context.Context, rnd *rand.Rand, next func() (int, bool)) error {
	conns := make([]*stage.Client, len(r.stage.Nodes))
	defer func() {
		for _, c := range conns {
			if c != nil {
				c.Close()
			}
		}
	}()
	for n := 0; ; n++ {
		i, ok := next()
		if !ok {
			return nil
		}
		at := rnd.IntN(len(conns))
		if conns[at] == nil {
			c, err := stage.Dial(ctx, r.stage.Nodes[at].Addr, 0)
			if err != nil {
				return err
			}
			conns[at] = c
		}
		off := int64(i) * r.Read
		o := r.objects[off/objectSize]
		span := storage.Span{Off: off % objectSize, End: off%objectSize + r.Read}
		if _, err := conns[at].Get(o.Path, span, n%checkEvery == 0); err != nil {
			return fmt.Errorf("read %s of %s at %s: %w", span, o.Path, r.stage.Nodes[at].Name, err)
		}
	}
}

// counts sums up origin and nodes.
func (r *run) counts(ctx context.Context) (c result, err error) {
	if c.origin, err = r.stage.Spent(ctx); err != nil {
		return c, err
	}
	for _, n := range r.stage.Nodes {
		m, err := n.Metrics(ctx)
		if err != nil {
			return c, err
		}
		c.hit += int64(m.Sum("mccd_gateway_bytes_total", `source="hit"`))
		c.peer += int64(m.Sum("mccd_gateway_bytes_total", `source="peer"`))
	}
	return c, nil
}

func (r *run) print(out io.Writer, what string, f result) {
	part := func(n int64) float64 { return 100 * float64(n) / float64(f.read) }
	fmt.Fprintf(out, "  %-22s %6d MiB read in %5.1f s: own drive %5.1f %%, other nodes %5.1f %%; the origin sent %6.2f %%\n",
		what, f.read>>20, f.took.Seconds(), part(f.hit), part(f.peer), part(f.origin))
}

// printNodes tells how full the drives are and what they evicted.
func (r *run) printNodes(ctx context.Context, out io.Writer) error {
	owned, err := r.owned(ctx)
	if err != nil {
		return err
	}
	for i, n := range r.stage.Nodes {
		m, err := n.Metrics(ctx)
		if err != nil {
			return err
		}
		limit := m.Sum("mccd_disk_limit_bytes")
		fmt.Fprintf(out, "  %s: owns %4.2f of its drive's size, drive %3.0f %% full, %.0f chunks, %.0f evictions, %.0f in memory\n", n.Name,
			owned[i]/limit, 100*m.Sum("mccd_disk_bytes")/limit, m.Sum("mccd_disk_chunks"),
			m.Sum("mccd_disk_evictions_total"), m.Sum("mccd_disk_memory_chunks_total"))
	}
	return nil
}

// owned returns how many bytes of the working set the ring gives each node.
func (r *run) owned(ctx context.Context) ([]float64, error) {
	status, err := r.stage.Nodes[0].Status(ctx)
	if err != nil {
		return nil, err
	}
	members := make([]ring.Member, 0, len(r.stage.Nodes))
	for _, n := range r.stage.Nodes {
		if m := status.Node(n.Name); m != nil {
			members = append(members, ring.Member{ID: m.ID, Zone: m.Zone, Weight: m.Weight})
		}
	}
	placed, err := ring.New(members)
	if err != nil {
		return nil, err
	}
	bytes := map[string]float64{}
	for at := int64(0); at < int64(r.reads)*r.Read; at += storage.ChunkSize {
		id := storage.Ref{Scheme: "http", Host: stage.Host, Path: r.objects[at/objectSize].Path}.ID()
		owner := placed.Members()[placed.Lookup(storage.PlacementHash(id, uint32(at%objectSize/storage.ChunkSize)))[0]]
		bytes[owner.ID] += float64(min(storage.ChunkSize, int64(r.reads)*r.Read-at))
	}
	owned := make([]float64, len(r.stage.Nodes))
	for i, n := range r.stage.Nodes {
		if m := status.Node(n.Name); m != nil {
			owned[i] = bytes[m.ID]
		}
	}
	return owned, nil
}
