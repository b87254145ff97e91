//go:build unix

package disk

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/mccd/mccd/storage"
)

var (
	schedules    = flag.Int("schedules", 0, "number of schedules of TestSchedules (or MCCD_SCHEDULES)")
	scheduleSeed = flag.Uint64("schedule-seed", 0, "run the one schedule of this seed")
)

const (
	readersPerSchedule = 100
	spanPerRead        = storage.BlockSize / 2
)

// TestSchedules runs one chunk through seeded schedules of failures: each step
// of write, publish, evict, repair and reopen fails, stops half-way or is the
// last one before a crash, blocks rot on the drive, and 100 readers must never
// see a wrong byte, nor wait for ever.
func TestSchedules(t *testing.T) {
	n, first := 300, uint64(time.Now().UnixNano())&0xffffffffff
	if testing.Short() {
		n = 50
	}
	if env, err := strconv.Atoi(os.Getenv("MCCD_SCHEDULES")); err == nil && env > 0 {
		n = env
	}
	if *schedules > 0 {
		n = *schedules
	}
	if *scheduleSeed != 0 {
		n, first = 1, *scheduleSeed
	}
	t.Logf("%d schedules from seed %d (one again: -schedule-seed=N)", n, first)
	var sum tally
	root := t.TempDir()
	for i := range uint64(n) {
		dir := filepath.Join(root, "s")
		if err := runSchedule(t, first+i, dir, &sum); err != nil {
			t.Fatalf("schedule %d of %d, seed %d: %v", i, n, first+i, err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("faults %d, kills %d, rotten blocks %d, evictions %d, corrupt blocks found %d, replacements %d, memory files %d, bytes read %d",
		sum.faults.Load(), sum.kills.Load(), sum.rots.Load(), sum.evictions.Load(), sum.corrupt.Load(), sum.repairs.Load(),
		sum.memory.Load(), sum.read.Load())
	if n >= 50 && *scheduleSeed == 0 {
		for name, count := range map[string]*atomic.Int64{"faults": &sum.faults, "kills": &sum.kills, "rots": &sum.rots,
			"evictions": &sum.evictions, "corrupt": &sum.corrupt, "repairs": &sum.repairs, "memory": &sum.memory} {
			if count.Load() == 0 {
				t.Errorf("the schedules had no %s: they test less than they should", name)
			}
		}
	}
}

type tally struct {
	faults, kills, rots, evictions, corrupt, repairs, memory, read atomic.Int64
}

// schedule is one life of a chunk, over several processes.
type schedule struct {
	t     testing.TB
	sum   *tally
	key   storage.ChunkKey
	v     storage.Version
	want  []byte
	store *Store
	fs    *faultFS
	clock atomic.Int64

	// sending is held by a reader between Ready and its read: what rots in
	// that moment would be the page cache, not the drive.
	sending sync.RWMutex

	mu      sync.Mutex
	rng     *rand.Rand
	flights map[int]chan struct{} // by block
}

func (sc *schedule) rand(n int) int {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	return sc.rng.IntN(n)
}

func runSchedule(t testing.TB, seed uint64, dir string, sum *tally) error {
	sc := &schedule{t: t, sum: sum, rng: rand.New(rand.NewPCG(seed, 1)), flights: map[int]chan struct{}{}}
	size := int64(storage.BlockSize*(1+sc.rand(5)) + sc.rand(storage.BlockSize))
	if size%storage.BlockSize == 0 {
		size++
	}
	sc.key, sc.v = object(fmt.Sprint("schedule", seed), size, 0)
	sc.want = content(sc.key, storage.Span{End: size})
	sc.clock.Store(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano())
	dirs := []string{filepath.Join(dir, "a"), filepath.Join(dir, "b")}[:1+sc.rand(2)]
	mem := []int64{-1, size, 4 * size, 1 << 30}[sc.rand(4)]
	lives := 1 + sc.rand(3)
	for life := range lives {
		if err := sc.live(dirs, mem, life == lives-1); err != nil {
			return fmt.Errorf("life %d of %d: %w", life, lives, err)
		}
		sc.decay(dirs)
	}
	return nil
}

// live is one process: it opens the store, lets all actors run, and ends by
// Close or by a crash.
func (sc *schedule) live(dirs []string, mem int64, last bool) error {
	sc.fs = newFaultFS()
	cfg := Config{FS: sc.fs, MemBytes: mem, MinFree: -1, IdleFiles: 1 + sc.rand(200), IOSlots: 1 + sc.rand(4),
		Now: func() time.Time { return time.Unix(0, sc.clock.Add(int64(50*time.Millisecond))) }}
	for _, d := range dirs {
		cfg.Drives = append(cfg.Drives, Drive{Path: d, Size: MinDriveSize})
	}
	s, err := New(cfg)
	if err != nil {
		return err
	}
	sc.store = s
	sc.fs.mu.Lock()
	sc.fs.fail = sc.plan(!last)
	sc.fs.mu.Unlock()

	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var readers, others sync.WaitGroup
	errs := make(chan error, readersPerSchedule)
	if sc.rand(2) == 0 {
		others.Go(func() {
			for _, d := range s.drives() {
				_ = s.scan(ctx, d) // what is not found is opened
			}
		})
	}
	for range readersPerSchedule {
		readers.Go(func() {
			if err := sc.reader(ctx); err != nil {
				errs <- err
			}
		})
	}
	stop, stopped := context.WithCancel(ctx)
	others.Go(func() { sc.trouble(stop) })
	readers.Wait()
	stopped()
	others.Wait()
	sc.waitFlights()
	close(errs)
	for err := range errs {
		return err
	}
	if err := sc.audit(); err != nil {
		return err
	}
	st := s.Stats()
	sc.sum.corrupt.Add(st.Corrupt + st.Damaged)
	sc.sum.repairs.Add(st.Repairs)
	sc.sum.evictions.Add(st.Evictions)
	sc.sum.memory.Add(st.MemFalls)
	if sc.fs.killed() {
		sc.sum.kills.Add(1)
	}
	_ = s.Close() // saving the totals may fail by plan
	return nil
}

// plan draws the faults of one life: they are bounded, so that life goes on.
func (sc *schedule) plan(mayKill bool) func(Op, string) error {
	var left, until atomic.Int64
	left.Store(int64(sc.rand(8)))
	until.Store(1 << 40)
	if mayKill && sc.rand(2) == 0 {
		until.Store(int64(sc.rand(60)))
	}
	steps := []Op{OpCreate, OpHeader, OpSize, OpPublish, OpOpen, OpLoad, OpBlock, OpEntry, OpVerify, OpCopy, OpDiscard, OpEvict, OpMemory}
	aim := steps[sc.rand(len(steps))]
	return func(op Op, _ string) error {
		if until.Add(-1) < 0 {
			sc.fs.kill()
			return errKilled
		}
		if op != aim && sc.rand(6) != 0 || sc.rand(3) != 0 || op == OpTotals || left.Add(-1) < 0 {
			return nil
		}
		sc.sum.faults.Add(1)
		err := []error{syscall.EIO, syscall.ENOSPC, syscall.EROFS}[sc.rand(3)]
		if sc.rand(2) == 0 {
			return torn{err}
		}
		return err
	}
}

// reader reads random spans until it has a few, or the process is dead.
func (sc *schedule) reader(ctx context.Context) error {
	var last error
	buf := make([]byte, spanPerRead)
	for range 3 {
		off := int64(sc.rand(len(sc.want)))
		span := storage.Span{Off: off, End: off + 1 + int64(sc.rand(min(spanPerRead, len(sc.want)-int(off))))}
		for span.Off < span.End {
			n, err := sc.readOnce(ctx, span, buf)
			if err != nil && ctx.Err() == nil {
				last = err
			}
			if errors.Is(err, errWrongBytes) {
				return err
			}
			if ctx.Err() != nil {
				return fmt.Errorf("waits for ever at %v, %s, last error %w", span, sc.describe(), last)
			}
			if sc.fs.killed() {
				return nil
			}
			span.Off += n
		}
	}
	return nil
}

// readOnce reads what it gets of span, following a flight where it must.
func (sc *schedule) readOnce(ctx context.Context, span storage.Span, buf []byte) (int64, error) {
	c, err := sc.store.Lookup(sc.key)
	if err != nil {
		c, err = sc.store.Create(ctx, sc.key, sc.v)
	}
	if err != nil {
		return 0, err
	}
	defer c.Release()
	done := int64(0)
	for {
		progress := c.Progress()
		n, err := sc.send(ctx, c, span, buf)
		done += n
		span.Off += n
		if err != nil || span.Empty() {
			return done, err
		}
		if n > 0 {
			continue
		}
		flight := sc.fly(int(span.Off / storage.BlockSize))
		select {
		case <-progress:
		case <-flight:
			// It may have failed, or gone to another file.
			return done, nil
		case <-ctx.Done():
			return done, ctx.Err()
		}
	}
}

// send is what a response does: it asks and reads at once.
func (sc *schedule) send(ctx context.Context, c *Chunk, span storage.Span, buf []byte) (int64, error) {
	sc.sending.RLock()
	defer sc.sending.RUnlock()
	n, err := c.Ready(ctx, span)
	if n == 0 || err != nil {
		return 0, err
	}
	f, base := c.File()
	got := buf[:n]
	if _, err := f.ReadAt(got, base+span.Off); err != nil {
		return 0, fmt.Errorf("%w: %w", errWrongBytes, err)
	}
	if !bytes.Equal(got, sc.want[span.Off:span.Off+n]) {
		return 0, fmt.Errorf("%w in %v, %s", errWrongBytes, storage.Span{Off: span.Off, End: span.Off + n}, sc.explain(c, span.Off, got))
	}
	sc.sum.read.Add(n)
	return n, nil
}

// fly starts a flight for a block unless there is one, and returns the channel
// that closes when it is over.
func (sc *schedule) fly(block int) <-chan struct{} {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	if ch := sc.flights[block]; ch != nil {
		return ch
	}
	ch := make(chan struct{})
	sc.flights[block] = ch
	more := sc.rng.IntN(3)
	go func() {
		defer func() {
			sc.mu.Lock()
			delete(sc.flights, block)
			sc.mu.Unlock()
			close(ch)
		}()
		c, err := sc.store.Create(context.Background(), sc.key, sc.v)
		if err != nil {
			return
		}
		w, err := c.BeginWrite()
		c.Release()
		if err != nil {
			return
		}
		defer w.End()
		for i := block; i <= min(block+more, blocksOf(c.length)-1); i++ {
			off := int64(i) * storage.BlockSize
			b := sc.want[off : off+blockLen(c.length, i)]
			if err := w.WriteBlock(i, [][]byte{b[:1], b[1:]}); err != nil {
				return
			}
		}
	}()
	return ch
}

func (sc *schedule) waitFlights() {
	for block := range storage.BlocksPerChunk {
		sc.mu.Lock()
		ch := sc.flights[block]
		sc.mu.Unlock()
		if ch != nil {
			<-ch
		}
	}
}
