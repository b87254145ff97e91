package disk

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/mccd/mccd/storage"
)

var (
	cloneCount = flag.Int("clones", 30, "number of crash-clones of TestCrashClones")
	cloneSeed  = flag.Uint64("clone-seed", 0, "TestCrashClones: its seed")
)

// TestCrashClones cuts the power at a random moment of a filling, evicting and
// dropping workload: a clone of the drives keeps a random part of what was not
// synced, which is everything, in any order that a file system may keep it.
// What is opened then has never a wrong byte, ends its scan and keeps its
// limit; the next life begins with it.
func TestCrashClones(t *testing.T) {
	seed := *cloneSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano()) & 0xffffffff
	}
	count := *cloneCount
	if testing.Short() {
		count = min(count, 6)
	}
	root := scratch(t)
	scenes := []*scenery{newScenery(t, root, 1), newScenery(t, root, 2)}
	rng := rand.New(rand.NewPCG(seed, 7))
	var sc *scenery
	var sum cloneTally
	dir := ""
	for i := range count {
		if i%10 == 0 { // a life of its own, every second one on new drives
			sc = scenes[i/10%2]
			dir = filepath.Join(root, fmt.Sprint("begin", i))
			if i/20%2 == 0 {
				if err := copyTree(sc.template, dir); err != nil {
					t.Fatal(err)
				}
			}
		}
		next := filepath.Join(root, fmt.Sprint("clone", i))
		if err := crashClone(t.Context(), sc, dir, next, rng, &sum); err != nil {
			t.Fatalf("clone %d, seed %d: %v", i, seed, err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		dir = next
	}
	t.Logf("seed %d: %d clones; left in them %d chunks with %d blocks; %d torn or lost blocks and %d damaged headers found",
		seed, count, sum.chunks, sum.blocks, sum.corrupt, sum.damaged)
	if count >= 30 && (sum.blocks == 0 || sum.corrupt == 0 || sum.damaged == 0) {
		t.Error("the clones test less than they should")
	}
}

type cloneTally struct {
	chunks, blocks   int
	corrupt, damaged int64
}

// crashClone works on the drives in dir until the power is cut, and examines
// what is left, in next.
func crashClone(ctx context.Context, sc *scenery, dir, next string, rng *rand.Rand, sum *cloneTally) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	tape, err := newTapeFS(dir)
	if err != nil {
		return err
	}
	cfg := sc.config(dir, tape)
	working, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	var cloned error
	tape.left = 1 + rng.IntN(400)
	if rng.IntN(4) == 0 {
		tape.left = 1 + rng.IntN(20) // while it starts
	}
	aside := rand.New(rand.NewPCG(rng.Uint64(), 1))
	tape.cut = func() {
		cloned = tape.clone(aside, next)
		stop()
	}
	s, err := New(cfg)
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- s.Run(working) }()
	err = wear(working, s, sc, rng)
	stop()
	<-done
	err = errors.Join(err, s.Close(), cloned)
	if err != nil || tape.left > 0 {
		return errors.Join(err, errors.New("the power was not cut"))
	}
	return afterCut(ctx, sc, next, sum)
}

// wear uses a store until ctx ends; what happens after the cut counts for
// nothing but wrong bytes.
func wear(ctx context.Context, s *Store, sc *scenery, rng *rand.Rand) error {
	all := sc.all()
	var wg sync.WaitGroup
	errs := make(chan error, 8)
	for range 4 {
		own := rand.New(rand.NewPCG(rng.Uint64(), 2))
		wg.Go(func() {
			for ctx.Err() == nil {
				th := all[own.IntN(len(all))]
				var err error
				switch own.IntN(12) {
				case 0:
					err = s.DropChunk(ctx, th.key, nil)
				case 1:
					err = s.PutRecord(&storage.Object{ID: th.key.Object, Host: "cdn.test", Path: "/p", Version: th.v})
				default:
					err = th.read(ctx, s, th.spans[own.IntN(len(th.spans))])
				}
				if err != nil && ctx.Err() == nil || errors.Is(err, errWrongBytes) {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	return <-errs
}

// afterCut opens what is left.
func afterCut(ctx context.Context, sc *scenery, dir string, sum *cloneTally) error {
	cfg := sc.config(dir, nil)
	cfg.ScrubRate = 0
	all := sc.all()
	found, stats, err := inspect(ctx, cfg, all)
	if err != nil {
		return fmt.Errorf("after the cut: %w", err)
	}
	for _, blocks := range found {
		if !blocks.Empty() {
			sum.chunks++
			sum.blocks += blocks.Count()
		}
	}
	sum.corrupt += stats.Corrupt
	sum.damaged += stats.Damaged
	s, err := New(cfg)
	if err != nil {
		return err
	}
	defer s.Close()
	err = s.EachRecord(ctx, func(o *storage.Object) bool { return true })
	if err != nil {
		return err
	}
	for _, th := range all {
		o, err := s.Record(th.key.Object)
		if err == nil && (o.Version.ID() != th.key.Version && o.Path != "/old" || o.ID != th.key.Object) {
			return fmt.Errorf("record of %s says %+v", th.key, o)
		}
	}
	return nil
}
