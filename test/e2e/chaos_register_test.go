package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/mccd/mccd/cluster/admin"
	"github.com/mccd/mccd/cluster/state"
	"github.com/mccd/mccd/test/process"
)

const (
	// firstValue is far above any limit that could slow a node down.
	firstValue = 1 << 50
	// callTime bounds one call; a write that fails says so sooner.
	callTime = 5 * time.Second
	// judgeTime bounds the judge, which takes far less where all is well.
	judgeTime = time.Minute
)

// writers are clients of the register: each asks one node after the other, at
// random, and reads or writes.
type writers struct {
	b       *bed
	history *history
	next    atomic.Int64
	// latest is when the latest acknowledged write began, in the history's time.
	latest atomic.Int64
	stop   context.CancelFunc
	wg     sync.WaitGroup
	start  register
}

// write starts clients that read and write until end.
func (b *bed) write(clients int, seed uint64) *writers {
	b.Helper()
	ctx, cancel := context.WithCancel(b.ctx)
	w := &writers{b: b, history: &history{begun: time.Now()}, stop: cancel}
	w.next.Store(firstValue)
	cfg := b.config(b.Running()[0])
	w.start = register{value: cfg.Limits.WANBytesPerSecond, revision: cfg.Revision}
	for i := range clients {
		rnd := rand.New(rand.NewPCG(seed, uint64(i)))
		w.wg.Go(func() { w.run(ctx, i, rnd) })
	}
	return w
}

func (w *writers) run(ctx context.Context, client int, rnd *rand.Rand) {
	last, known := state.Config{}, false
	for ctx.Err() == nil {
		nodes := w.b.Awake()
		if rnd.IntN(10) == 0 {
			nodes = w.b.Running() // one that stands still answers late
		}
		if len(nodes) == 0 {
			pauseFor(ctx, 5*time.Millisecond)
			continue
		}
		node := nodes[rnd.IntN(len(nodes))]
		switch {
		case known && rnd.IntN(2) == 0:
			w.set(client, node, last)
			known = rnd.IntN(4) == 0 // and write again over what is old by now
		default:
			cfg, err := w.get(client, node)
			if err == nil {
				last, known = cfg, true
			} else {
				pauseFor(ctx, 20*time.Millisecond)
			}
		}
	}
}

// get reads the register at node and notes it.
func (w *writers) get(client int, node *process.Node) (state.Config, error) {
	from := w.history.now()
	ctx, cancel := context.WithTimeout(w.b.ctx, callTime)
	defer cancel()
	cfg, err := node.Config(ctx, false)
	if err == nil {
		w.history.note(client, from, step{}, outcome{value: cfg.Limits.WANBytesPerSecond, revision: cfg.Revision})
	}
	return cfg, err
}

// set writes a new number over what cfg says, at node, and notes how it ended.
// A call that certainly had no effect is not noted.
func (w *writers) set(client int, node *process.Node, cfg state.Config) {
	in := step{write: true, expect: cfg.Revision, expected: cfg.Limits.WANBytesPerSecond, value: w.next.Add(1)}
	cfg.Limits.WANBytesPerSecond = in.value
	ctx, cancel := context.WithTimeout(w.b.ctx, callTime)
	defer cancel()
	conn, err := admin.Dial(ctx, node.Socket)
	if err != nil {
		return // nothing was sent
	}
	defer func() { _ = conn.Close() }()
	from := w.history.now()
	revision, err := conn.SetConfig(ctx, in.expect, cfg)
	switch {
	case err == nil:
		w.history.note(client, from, in, outcome{revision: revision})
		for latest := w.latest.Load(); latest < from && !w.latest.CompareAndSwap(latest, from); {
			latest = w.latest.Load()
		}
	case errors.Is(err, state.ErrConflict):
		w.history.note(client, from, in, outcome{kind: conflict})
	case errors.Is(err, state.ErrNoQuorum):
	default:
		w.history.note(client, from, in, outcome{kind: unknown})
	}
}

// nextWrite waits until a write is acknowledged that began after the call, and
// returns how long that took.
func (w *writers) nextWrite(limit time.Duration) (time.Duration, error) {
	from := w.history.now()
	return w.b.within(limit, func(context.Context) error {
		if w.latest.Load() <= from {
			return errors.New("no write was acknowledged")
		}
		return nil
	})
}

// end stops the clients, reads the register a last time at every node and has
// the history judged.
func (w *writers) end() {
	w.b.Helper()
	w.stop()
	w.wg.Wait()
	var last register
	for i, n := range w.b.Running() {
		var cfg state.Config
		if _, err := w.b.within(electLimit, func(context.Context) (err error) {
			cfg, err = w.get(-1-i, n)
			return err
		}); err != nil {
			w.b.Errorf("last read at %s: %v", n.Name, err)
			return
		}
		last = register{value: cfg.Limits.WANBytesPerSecond, revision: cfg.Revision}
	}
	calls, n := w.history.settled()
	w.b.Logf("register: %d reads, %d writes acknowledged, %d refused as stale, %d of unknown outcome of which %d took effect; revision %d to %d",
		n.reads, n.writes, n.conflicts, n.unknown, n.unknown-n.unseen, w.start.revision, last.revision)
	if n.writes == 0 {
		w.b.Error("no write was acknowledged")
	}
	// Also where the judge has no time: revisions only rise, so the last one is
	// that of the last write that was acknowledged, or of a later one.
	for _, c := range calls {
		if out := c.Output.(outcome); out.revision > last.revision {
			w.b.Errorf("revision %d was told, and %d is the last: an acknowledged write is lost", out.revision, last.revision)
			break
		}
	}
	begun := time.Now()
	result := porcupine.CheckOperationsTimeout(registerFrom(w.start), calls, judgeTime)
	w.b.Logf("linearizable: %s, judged in %v", result, time.Since(begun).Round(time.Millisecond))
	if result != porcupine.Ok {
		w.b.Errorf("the register is not linearizable: %s; the history's end:\n%s", result, lastLines(describe(calls), 100))
	}
}

// describe lists calls by their beginning.
func describe(calls []porcupine.Operation) string {
	calls = slices.Clone(calls)
	slices.SortFunc(calls, func(a, b porcupine.Operation) int { return int(a.Call - b.Call) })
	var text strings.Builder
	for _, c := range calls {
		fmt.Fprintf(&text, "%d [%v %v] %+v %+v\n", c.ClientId, time.Duration(c.Call), time.Duration(c.Return), c.Input, c.Output)
	}
	return text.String()
}

// lastLines returns at most n lines from the end of text.
func lastLines(text string, n int) string {
	lines := strings.SplitAfter(text, "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "")
}
