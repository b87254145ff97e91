package disk

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mccd/mccd/storage"
)

var (
	everyFault = flag.Bool("every", false, "TestEveryFault: every n of every operation, not a sample (many minutes)")
	faultOnly  = flag.String("fault-only", "", "TestEveryFault: only this operation, such as block/write")
	faultSeed  = flag.Uint64("fault-seed", 0, "TestEveryFault: the seed of the sample")
	faultNth   = flag.Int("fault-nth", 0, "TestEveryFault: only this n, again and again up to -fault-runs")
	faultWhat  = flag.String("fault-what", "", "TestEveryFault: only this ailment, such as EIO")
	faultRuns  = flag.Int("fault-runs", 1, "TestEveryFault: how often -fault-nth")
)

// faultTries is how many n of one kind and ailment the sample has.
const faultTries = 2

// faultsTold is after how many failures a run ends.
const faultsTold = 10

// TestEveryFault lets the nth operation of every kind fail in every way, in a
// workload that fills, reads, evicts, rots, repairs, drops, restarts and
// scrubs, until it passes without meeting the fault: never a wrong byte, never
// a hang, the limit always holds, and everything is given back.
func TestEveryFault(t *testing.T) {
	seed := *faultSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano()) & 0xffffffff
	}
	root := scratch(t)
	for drives := 1; drives <= 2; drives++ {
		sc := newScenery(t, root, drives)
		t.Run(fmt.Sprint(drives, " drives"), func(t *testing.T) {
			t.Parallel()
			everyFaultOn(t, sc, filepath.Join(root, fmt.Sprint("run", drives)), seed)
		})
	}
	t.Logf("seed %d (again: -fault-seed=N)", seed)
}

// scratch returns a directory in memory where there is one.
func scratch(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "mccd-torture")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func everyFaultOn(t *testing.T, sc *scenery, dir string, seed uint64) {
	dry := &ordeal{sc: sc, dir: dir, seed: seed}
	if err := dry.run(t); err != nil {
		t.Fatalf("without a fault: %v", err)
	}
	kinds := make([]kind, 0, len(dry.counts))
	total := 0
	for k, n := range dry.counts {
		kinds = append(kinds, k)
		total += n
	}
	slices.SortFunc(kinds, func(a, b kind) int { return strings.Compare(a.String(), b.String()) })
	rng := rand.New(rand.NewPCG(seed, 1))
	var table strings.Builder
	fmt.Fprintf(&table, "%-18s %6s   tried: EIO ENOSPC  short  delay  drive\n", "operation", "count")
	tried, failed := 0, 0
	for _, k := range kinds {
		if *faultOnly != "" && k.String() != *faultOnly {
			continue
		}
		fmt.Fprintf(&table, "%-18s %6d         ", k, dry.counts[k])
		for what := range ailments {
			n := 0
			if *faultWhat != "" && what.String() != *faultWhat {
				continue
			}
			if k.method == "resident" && (what == failENOSPC || what == failShort) {
				fmt.Fprintf(&table, "%6s ", "-") // it has no error to give
				continue
			}
			for nth := range attempts(rng, dry.counts[k]) {
				o := &ordeal{sc: sc, dir: dir, seed: seed + uint64(nth), aim: k, nth: nth, what: what}
				if err := o.run(t); err != nil {
					t.Errorf("%s, %d drives, seed %d: %v", o.fs.report(), sc.drives, seed, err)
					if failed++; failed >= faultsTold {
						t.FailNow()
					}
				}
				n++
				if !o.fs.wasHit() {
					break // the whole workload passed
				}
			}
			fmt.Fprintf(&table, "%6d ", n)
			tried += n
		}
		table.WriteByte('\n')
	}
	t.Logf("%d drives: %d operations of %d kinds, %d runs\n%s", sc.drives, total, len(kinds), tried, table.String())
}

// attempts yields the n to try: all of them, or the first and some of the
// others.
func attempts(rng *rand.Rand, count int) func(func(int) bool) {
	return func(yield func(int) bool) {
		if *faultNth > 0 {
			for range *faultRuns {
				if !yield(*faultNth) {
					return
				}
			}
			return
		}
		if *everyFault {
			for n := 1; yield(n); n++ {
			}
			return
		}
		tries := faultTries
		if testing.Short() {
			tries = 1
		}
		for i := range tries {
			n := i + 1
			if i >= 1 && count > tries {
				n = 2 + rng.IntN(count-1)
			}
			if !yield(n) {
				return
			}
		}
	}
}

// ordeal is one run of the workload with one fault.
type ordeal struct {
	sc   *scenery
	dir  string
	seed uint64
	aim  kind
	nth  int
	what ailment

	fs     *sickFS
	counts map[kind]int
}

// run returns what went wrong.
func (o *ordeal) run(t *testing.T) (err error) {
	if err := os.RemoveAll(o.dir); err != nil {
		t.Fatal(err)
	}
	if err := copyTree(o.sc.template, o.dir); err != nil {
		t.Fatal(err)
	}
	cfg := o.sc.config(o.dir, nil)
	o.fs = newSickFS(newBooks(cfg.Drives))
	o.fs.aim, o.fs.nth, o.fs.what = o.aim, o.nth, o.what
	cfg.FS = o.fs
	watchdog := time.AfterFunc(2*time.Minute, func() {
		buf := make([]byte, 1<<20)
		panic(fmt.Sprintf("%s: hangs\n%s", o.fs.report(), buf[:runtime.Stack(buf, true)]))
	})
	defer watchdog.Stop()
	begun := time.Now()
	synctest.Test(t, func(t *testing.T) {
		base := time.Now()
		cfg.Now = func() time.Time { return begun.Add(time.Since(base)) }
		err = o.work(t.Context(), cfg)
	})
	o.counts = o.fs.counts
	if left := openUnder(o.dir); len(left) > 0 {
		err = errors.Join(err, fmt.Errorf("left open: %v", left))
	}
	return err
}

// work is the workload: two lives of a store, and a look from outside.
func (o *ordeal) work(ctx context.Context, cfg Config) error {
	rotten := o.sc.old[0]
	rotten.spoil(o.fs.faultFS, cfg, 3, 99) // for the scrub or a reader to find
	for life := range 2 {
		if err := o.live(ctx, cfg, life); err != nil {
			return fmt.Errorf("life %d: %w", life+1, err)
		}
	}
	if err := o.fs.books.verdict(); err != nil {
		return err
	}
	return o.look(ctx, cfg)
}

// live opens a store, uses it and closes it.
func (o *ordeal) live(ctx context.Context, cfg Config, life int) error {
	var s *Store
	if err := o.again(func() (err error) { s, err = New(cfg); return err }); err != nil {
		return fmt.Errorf("open: %w", err)
	}
	running, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- s.Run(running) }()
	err := o.use(ctx, s, cfg, life)
	for range 15 { // what could not be removed goes when the drive is tried again
		if o.fs.wasHit() && err == nil && o.settled(s, cfg) != nil {
			time.Sleep(time.Minute) //nolint:forbidigo // fake time
		}
	}
	stop()
	<-done
	for _, d := range s.drives() {
		for !d.clock.idle() { // what was not waited for any more
			time.Sleep(time.Second) //nolint:forbidigo // fake time
		}
	}
	if err == nil {
		err = o.settled(s, cfg)
	}
	if cerr := s.Close(); err == nil && cerr != nil && !o.fs.wasHit() {
		err = cerr
	}
	return err
}

func (o *ordeal) use(ctx context.Context, s *Store, cfg Config, life int) error {
	sc, seed := o.sc, o.seed+uint64(life)*1000
	var filling sync.WaitGroup
	flown := make([]error, len(sc.flow))
	for i, th := range sc.flow {
		filling.Go(func() { flown[i] = th.read(ctx, s, th.spans[0]) })
	}
	err := readers(ctx, s, seed, append(append([]*thing(nil), sc.things...), sc.old...))
	filling.Wait()
	if err := errors.Join(append(flown, err)...); err != nil {
		return err
	}
	select {
	case <-s.Indexed(): // the scan ends, whatever failed once
	case <-time.After(5 * time.Minute):
		return errors.New("the scan does not end")
	}
	if err := o.records(s); err != nil {
		return err
	}
	hot := sc.things[0]
	c, err := s.Lookup(hot.key) // in use while it is dropped; nil where it left
	hot.spoil(o.fs.faultFS, cfg, 1, int64(seed%1000))
	if err := readers(ctx, s, seed+1, sc.things); err != nil {
		return err
	}
	derr := o.again(func() error { return s.DropChunk(ctx, hot.key, nil) })
	if c != nil && err == nil {
		if _, err := hot.sent(ctx, c, hot.spans[0]); errors.Is(err, errWrongBytes) {
			return fmt.Errorf("after the drop: %w", err)
		}
		c.Release()
	}
	if derr != nil {
		return derr
	}
	err = o.again(func() error { return s.SetPurged(storage.Stamp{Cluster: "c", Index: 7}) })
	if err != nil {
		return err
	}
	for range s.Keys {
	}
	return readers(ctx, s, seed+2, sc.things)
}

// again does what may fail where the fault was met, and once more when it must
// be over.
func (o *ordeal) again(do func() error) error {
	err := do()
	if err == nil || !o.fs.wasHit() {
		return err
	}
	time.Sleep(sickTime) //nolint:forbidigo // fake time
	if err = do(); err != nil {
		return fmt.Errorf("second try: %w", err)
	}
	return nil
}

// records stores, reads and drops some.
func (o *ordeal) records(s *Store) error {
	for i, th := range o.sc.things {
		rec := &storage.Object{ID: th.key.Object, Host: "cdn.test", Path: "/" + fmt.Sprint(i), Version: th.v}
		err := s.PutRecord(rec)
		if err != nil && !o.fs.wasHit() {
			return err
		}
		got, err := s.Record(rec.ID)
		switch {
		case err == nil && got.Version.ID() != th.key.Version:
			return fmt.Errorf("record of %s has another version", rec.ID)
		case err != nil && !o.fs.wasHit():
			return err
		}
	}
	last := o.sc.things[len(o.sc.things)-1].key.Object
	if err := o.again(func() error { return s.DropRecord(last) }); err != nil {
		return err
	}
	if _, err := s.Record(last); err == nil {
		return errors.New("a dropped record is still there")
	}
	err := s.EachRecord(context.Background(), func(*storage.Object) bool { return true })
	if err != nil && !o.fs.wasHit() {
		return err
	}
	return nil
}
