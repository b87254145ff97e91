package disk

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mccd/mccd/storage"
)

var (
	killCount = flag.Int("kills", 15, "number of kills of TestKilledAnywhere")
	killSeed  = flag.Uint64("kill-seed", 0, "TestKilledAnywhere: its seed")
)

// The child of TestKilledAnywhere: its drives' directory and its seed.
const (
	killDirEnv  = "MCCD_TEST_TORTURE_DIR"
	killSeedEnv = "MCCD_TEST_TORTURE_SEED"
)

// killDrives is on how many drives the child works.
const killDrives = 2

// TestKilledAnywhere kills a real process with SIGKILL at random points of a
// filling, evicting and dropping workload, one life after the other on the same
// drives. The child says what it has published and what it is about to remove.
// What was published and not removed is there and right, nothing else takes
// space, and the limit held, also while the next life did not know yet what
// the last one left.
func TestKilledAnywhere(t *testing.T) {
	if dir := os.Getenv(killDirEnv); dir != "" {
		killChild(dir, os.Getenv(killSeedEnv))
		return
	}
	seed := *killSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano()) & 0xffffffff
	}
	count := *killCount
	if testing.Short() {
		count = min(count, 3)
	}
	root := scratch(t)
	sc := newScenery(t, root, killDrives)
	dir := filepath.Join(root, "drives")
	rng := rand.New(rand.NewPCG(seed, 3))
	want := held{}
	blocks, evicted, midway := 0, 0, 0
	for i := range count {
		said, mid, err := oneKill(t, dir, rng)
		if err == nil {
			evicted += said.apply(want)
			err = afterKill(t.Context(), sc, dir, want)
		}
		if err != nil {
			t.Fatalf("kill %d, seed %d: %v", i, seed, err)
		}
		midway += mid
		for _, b := range want {
			blocks += b.Count()
		}
	}
	t.Logf("seed %d: %d kills, %d of them inside a write; %d blocks were to be there and were, %d removals said",
		seed, count, midway, blocks, evicted)
	if blocks == 0 || evicted == 0 {
		t.Error("the kills test less than they should")
	}
}

// oneKill runs a child until it is dead, and returns what it said.
func oneKill(t *testing.T, dir string, rng *rand.Rand) (told, int, error) {
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledAnywhere$")
	cmd.Env = append(os.Environ(), killDirEnv+"="+dir, fmt.Sprint(killSeedEnv, "=", rng.Uint64()))
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, 0, err
	}
	if err := cmd.Start(); err != nil {
		return nil, 0, err
	}
	// Half of the children kill themselves in the middle of an operation.
	if rng.IntN(2) == 0 {
		timer := time.AfterFunc(time.Duration(20+rng.IntN(300))*time.Millisecond, func() { _ = cmd.Process.Kill() })
		defer timer.Stop()
	}
	watchdog := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Signal(syscall.SIGQUIT) })
	defer watchdog.Stop()
	said, mid, err := listen(out)
	werr := cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(werr, &exit) || !exit.Sys().(syscall.WaitStatus).Signaled() || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		return nil, 0, fmt.Errorf("the child was not killed but ended: %w, %w", werr, err)
	}
	return said, mid, err
}

// told is what a child said, in order.
type told []saying

// saying is a block published, or with block -1 a chunk about to go.
type saying struct {
	key   storage.ChunkKey
	block int
}

// listen reads what a child says; a line that its death cut off counts for
// nothing.
func listen(r io.Reader) (told, int, error) {
	var all told
	mid := 0
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return all, mid, nil //nolint:nilerr // the child is dead
		}
		verb, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		var s saying
		switch verb {
		case "put", "gone":
			var name string
			if _, err := fmt.Sscan(rest, &name, &s.block); err != nil {
				return nil, 0, fmt.Errorf("%q: %w", line, err)
			}
			key, ok := parseName(name)
			if !ok {
				return nil, 0, fmt.Errorf("%q: no key", line)
			}
			s.key = key
			all = append(all, s)
		case "midway":
			mid++
		case "wrong":
			return nil, 0, errors.New(rest)
		}
	}
}

// apply brings what is to be there up to date.
func (said told) apply(want held) (gone int) {
	for _, s := range said {
		if s.block < 0 {
			delete(want, s.key)
			gone++
			continue
		}
		b := want[s.key]
		b.set(s.block)
		want[s.key] = b
	}
	return gone
}

// afterKill opens the drives and compares.
func afterKill(ctx context.Context, sc *scenery, dir string, want held) error {
	cfg := sc.config(dir, nil)
	cfg.ScrubRate = 0
	for i, d := range cfg.Drives {
		if on, err := stored(d.Path); err != nil || on > d.Size {
			return fmt.Errorf("drive %s holds %d bytes, its limit is %d: %w", d.Path, on, d.Size, err)
		}
		cfg.Drives[i].Size *= 2 // so that nothing is evicted while this looks
	}
	found, stats, err := inspect(ctx, cfg, sc.all())
	if err != nil {
		return err
	}
	if stats.Corrupt+stats.Damaged > 0 {
		return fmt.Errorf("%d blocks corrupt, %d files damaged", stats.Corrupt, stats.Damaged)
	}
	for key, blocks := range want {
		for i := range storage.BlocksPerChunk {
			if blocks.Has(i) && !found[key].Has(i) {
				return fmt.Errorf("block %d of %s was published and is lost", i, key)
			}
		}
	}
	return nil
}

// killChild works until it is killed.
func killChild(dir, text string) {
	var seed uint64
	_, _ = fmt.Sscan(text, &seed)
	rng := rand.New(rand.NewPCG(seed, 4))
	say := &mouth{}
	sc := &scenery{drives: killDrives}
	sc.populate()
	cfg := sc.config(dir, nil)
	watched := &sayingFS{sickFS: newSickFS(newBooks(cfg.Drives)), say: say, left: 1 + rng.IntN(1500)}
	cfg.FS = watched
	s, err := New(cfg)
	if err != nil {
		say.line("wrong open: %v", err)
		return
	}
	ctx := context.Background()
	go func() { _ = s.Run(ctx) }()
	all := sc.all()
	var locks [1024]sync.RWMutex // a chunk is not dropped while a block of it is announced
	for range 4 {
		own := rand.New(rand.NewPCG(rng.Uint64(), 5))
		go func() {
			for {
				n := own.IntN(len(all))
				th := all[n]
				var err error
				switch own.IntN(16) {
				case 0:
					locks[n].Lock()
					err = s.DropChunk(ctx, th.key, nil)
					locks[n].Unlock()
				case 1:
					err = s.PutRecord(&storage.Object{ID: th.key.Object, Host: "cdn.test", Path: "/p", Version: th.v})
				default:
					locks[n].RLock()
					err = th.announce(ctx, s, say, th.spans[own.IntN(len(th.spans))])
					locks[n].RUnlock()
				}
				if err == nil {
					err = watched.books.verdict()
				}
				if err != nil && !errors.Is(err, storage.ErrBusy) {
					say.line("wrong %v", err)
				}
			}
		}()
	}
	select {}
}

// announce fills what is missing of span, says what was published, and reads
// it, while it has the chunk in use.
func (th *thing) announce(ctx context.Context, s *Store, say *mouth, span storage.Span) error {
	c, err := s.Create(ctx, th.key, th.v)
	if err != nil {
		return err
	}
	defer c.Release()
	missing := c.Missing(span)
	if err := th.fillInto(c, span); err != nil {
		if errors.Is(err, ErrMoved) || errors.Is(err, ErrCondemned) {
			return nil // another goroutine's write failed for want of room
		}
		return err
	}
	present := c.Presence()
	for _, gap := range missing {
		for i := int(gap.Off / storage.BlockSize); int64(i)*storage.BlockSize < gap.End; i++ {
			if c.Stored() && present.Has(i) {
				say.line("put %s %d", chunkName(th.key), i)
			}
		}
	}
	if _, err := th.sent(ctx, c, span); errors.Is(err, errWrongBytes) {
		return err
	}
	return nil
}

// mouth writes whole lines, one after the other.
type mouth struct{ mu sync.Mutex }

func (m *mouth) line(format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, _ = fmt.Fprintf(os.Stdout, format+"\n", args...)
}

// sayingFS says which chunk files are about to go, and kills its process in the
// middle of one operation.
type sayingFS struct {
	*sickFS
	say  *mouth
	mu   sync.Mutex
	left int
}

func (f *sayingFS) last() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left--
	return f.left == 0
}

func (f *sayingFS) Remove(op Op, path string) error {
	if key, ok := parseName(filepath.Base(path)); ok && strings.Contains(path, "/chunks/") {
		f.say.line("gone %s -1", chunkName(key))
	}
	if f.last() {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	return f.sickFS.Remove(op, path)
}

func (f *sayingFS) Write(op Op, file *os.File, off int64, bufs ...[]byte) error {
	if f.last() {
		f.say.line("midway")
		for _, b := range bufs {
			_ = f.OS.Write(op, file, off, b[:len(b)/2])
			break
		}
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
	return f.sickFS.Write(op, file, off, bufs...)
}

func (f *sayingFS) Rename(op Op, from, to string) error {
	if f.last() {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	return f.sickFS.Rename(op, from, to)
}
