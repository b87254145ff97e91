package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mccd/mccd/test/faultorigin"
	"github.com/mccd/mccd/test/process"
	"github.com/mccd/mccd/test/process/herd"
	"github.com/mccd/mccd/test/process/presence"
)

const (
	nodes = 3
	// victim is the node that is killed.
	victim = 1
	// limit bounds the whole demo.
	limit     = 10 * time.Minute
	stopGrace = 15 * time.Second
)

// stage holds what runs.
type stage struct {
	settings
	content *catalogue
	origin  *faultorigin.Server
	cluster *process.Cluster
	begun   time.Time
	formed  time.Duration // how long the nodes took to be a cluster
	want    int64         // bytes that the herd reads in all

	delivered atomic.Int64

	mu     sync.Mutex // guards the rest
	counts [nodes]counts
	states [nodes]string
	result *result
}

// counts are what one node served, in bytes by source, over all its lives.
type counts struct{ disk, peers, origin float64 }

func (c counts) total() float64 { return c.disk + c.peers + c.origin }

func (c counts) plus(d counts) counts {
	return counts{c.disk + d.disk, c.peers + d.peers, c.origin + d.origin}
}

// show runs the demo and returns what came of it. All that it started has
// ended when it returns.
func show(parent context.Context, s settings, out io.Writer) (*result, error) {
	ctx, cancel := context.WithTimeoutCause(parent, limit, fmt.Errorf("not done after %v", limit))
	defer cancel()
	dir, err := os.MkdirTemp("", "mccd-demo-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	fmt.Fprintf(out, "\n  mccd demo\n\n  Preparing: building mccd, reading the Go distribution, computing SHA-256 ...\n")
	bin, err := process.Build(ctx, dir)
	if err != nil {
		return nil, err
	}
	st := &stage{settings: s, result: new(result)}
	if st.content, err = collect(ctx, s.small); err != nil {
		return nil, err
	}
	listener, err := process.ListenOrigin("127.0.0.1")
	if err != nil {
		return nil, err
	}
	st.origin, err = faultorigin.Listen(faultorigin.Config{
		Listener: listener, Dir: st.content.root, Objects: st.content.generated, Rate: s.rate * mib,
	})
	if err != nil {
		return nil, err
	}
	defer st.origin.Close()
	if st.cluster, err = process.New(st.config(bin, dir)); err != nil {
		return nil, err
	}
	defer func() { _ = st.cluster.Close(stopGrace) }()
	starting := time.Now()
	if err := st.cluster.Start(ctx); err != nil {
		st.cluster.DumpLogs(out)
		return nil, err
	}
	st.formed = time.Since(starting)
	for i := range st.states {
		st.states[i] = "serving"
	}
	if err := st.play(ctx, out); err != nil {
		if parent.Err() == nil { // not interrupted
			st.cluster.DumpLogs(out)
		}
		return nil, err
	}
	return st.result, nil
}

func (st *stage) config(bin, dir string) process.Config {
	rule := func(name, host string) process.Origin {
		return process.Origin{Name: name, Hosts: []string{host}, Profile: "do", Connect: st.origin.Addr(), AllowPrivate: true}
	}
	return process.Config{
		Bin: bin, Dir: filepath.Join(dir, "nodes"), Nodes: nodes,
		Origins: []process.Origin{rule("demo-go", realHost), rule("demo-updates", updateHost)},
	}
}

// play is the demo itself: the herd, the kill, the return.
func (st *stage) play(ctx context.Context, out io.Writer) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	st.begun = time.Now()
	st.want = int64(st.clients) * st.content.bytes
	screen := newScreen(out)
	st.intro(screen)
	watched := make(chan struct{})
	watching, stopWatching := context.WithCancel(ctx)
	go func() {
		defer close(watched)
		st.watch(watching, screen)
	}()
	fate := make(chan error, 1)
	go func() {
		err := st.killAndReturn(ctx)
		if err != nil {
			cancel(err)
		}
		fate <- err
	}()
	herdResult := st.herd(ctx)
	if got := st.delivered.Load(); got < st.want*7/8 && ctx.Err() == nil {
		cancel(fmt.Errorf("the herd ended after %d of %d bytes; the first failures: %v", got, st.want, firstFailures(herdResult)))
	}
	fateErr := <-fate
	if fateErr == nil && ctx.Err() == nil {
		fateErr = st.back(ctx)
	}
	stopWatching()
	<-watched
	if fateErr != nil {
		return fateErr
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	st.sample(ctx)
	st.result.finish(st, herdResult)
	return nil
}

// herd lets all clients read all content, and adds up what they saw.
func (st *stage) herd(ctx context.Context) *herd.Result {
	results := make([]*herd.Result, st.clients)
	var wg sync.WaitGroup
	for i := range st.clients {
		wg.Go(func() { results[i] = st.client(i).ReadAll(ctx, st.jobs(i), streams(i)) })
	}
	wg.Wait()
	total := new(herd.Result)
	for _, r := range results {
		total.Add(r)
	}
	return total
}

func firstFailures(r *herd.Result) []herd.Failure { return r.Failures[:min(3, len(r.Failures))] }

// client i begins at node i mod 3, and goes on at the next one.
func (st *stage) client(i int) *herd.Client {
	c := &herd.Client{Probe: i%2 == 0, Arrived: func(_ string, n int) { st.delivered.Add(int64(n)) }}
	for k := range nodes {
		c.Nodes = append(c.Nodes, st.cluster.Nodes[(i+k)%nodes].Addr)
	}
	return c
}

// jobs: every other client asks as the Windows agent does, for pieces of 1 MiB
// over two streams; the others for whole files. One client of the victim
// begins with the file that comes last for all others, so that the victim
// holds something that no other node has when it is killed.
func (st *stage) jobs(i int) []herd.Job {
	objects := st.content.objects
	if last := len(objects) - 1; i == victim {
		objects = slices.Concat(objects[last:], objects[:last])
	}
	jobs := make([]herd.Job, 0, len(objects))
	for _, o := range objects {
		plan := o.Whole()
		if i%2 == 0 {
			plan = o.Pieces()
		}
		jobs = append(jobs, herd.Job{Object: o, Plan: plan})
	}
	return jobs
}

func streams(i int) int { return 2 - i%2 }

// killAndReturn kills the victim when half of all bytes are delivered, and
// starts it again at seven eighths: until then the others miss what it alone
// held.
func (st *stage) killAndReturn(ctx context.Context) error {
	if err := st.reached(ctx, st.want/2); err != nil {
		return err
	}
	if err := st.kill(ctx); err != nil {
		return err
	}
	if err := st.reached(ctx, st.want*7/8); err != nil {
		return err
	}
	n := st.cluster.Nodes[victim]
	st.say(victim, "starting")
	begun := time.Now()
	if err := n.Restart(ctx); err != nil {
		return err
	}
	if err := st.cluster.Together(ctx); err != nil {
		return err
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	st.result.startedAgain, st.result.upAgain = begun, time.Now()
	st.states[victim] = "back"
	return nil
}

// reached waits until n bytes are delivered.
func (st *stage) reached(ctx context.Context, n int64) error {
	return process.Poll(ctx, func(context.Context) error {
		if got := st.delivered.Load(); got < n {
			return fmt.Errorf("%d of %d bytes delivered", got, n)
		}
		return nil
	})
}

// kill notes the state of cluster and origin and kills the victim. The other
// nodes are held for the few milliseconds that it takes to read all drives, so
// that the figures are those of the moment.
func (st *stage) kill(ctx context.Context) error {
	st.sample(ctx)
	drives := make([]string, nodes)
	before := st.origin.Ledger().Entries()
	killed := time.Now()
	for i, n := range st.cluster.Nodes {
		drives[i] = n.Drive
		if i == victim {
			continue
		}
		if err := n.Pause(); err != nil {
			return err
		}
	}
	killErr := st.cluster.Nodes[victim].Kill()
	after := st.origin.Ledger().Entries()
	snapshot, err := presence.Take(drives...)
	for i, n := range st.cluster.Nodes {
		if i != victim {
			_ = n.Resume()
		}
	}
	switch {
	case err != nil:
		return err
	case killErr != nil:
		return killErr
	}
	st.say(victim, "killed")
	sets, err := snapshot.Sets(ctx)
	if err != nil {
		return err
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	st.result.killed, st.result.atKill, st.result.alone = killed, tally(after), presence.Alone(sets, victim)
	st.result.open = len(presence.Open(before, after, presence.Unite(sets)))
	st.result.before = st.counts[victim]
	return nil
}

// back lets a few clients read everything from the node that came back.
func (st *stage) back(ctx context.Context) error {
	st.say(victim, "serving")
	st.sample(ctx)
	st.mu.Lock()
	before := st.counts[victim]
	st.mu.Unlock()
	sent := st.origin.Ledger().Bytes("")
	c := &herd.Client{Nodes: []string{st.cluster.Nodes[victim].Addr}}
	total := c.ReadAll(ctx, st.jobs(1), 1)
	st.sample(ctx)
	st.mu.Lock()
	defer st.mu.Unlock()
	after := st.counts[victim]
	st.result.back = backResult{
		result: total, extra: st.origin.Ledger().Bytes("") - sent,
		served: counts{after.disk - before.disk, after.peers - before.peers, after.origin - before.origin},
	}
	return nil
}

// say sets what the progress says of node i.
func (st *stage) say(i int, state string) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.states[i] = state
}

// sample reads what each running node served so far.
func (st *stage) sample(ctx context.Context) {
	for i, n := range st.cluster.Nodes {
		if !n.Running() {
			continue
		}
		m, err := n.Metrics(ctx)
		if err != nil {
			continue // it starts or is being killed; the next sample has it
		}
		c := counts{
			disk:   m.Sum("mccd_gateway_bytes_total", `source="hit"`),
			peers:  m.Sum("mccd_gateway_bytes_total", `source="peer"`),
			origin: m.Sum("mccd_gateway_bytes_total", `source="miss"`),
		}
		st.mu.Lock()
		if i == victim {
			c = c.plus(st.result.before)
		}
		st.counts[i] = c
		st.mu.Unlock()
	}
}
