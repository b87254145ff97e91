//go:build unix

package disk

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/mccd/mccd/storage"
)

// testClock is a clock that stands until it is moved.
type testClock struct{ nanos atomic.Int64 }

func newClock() *testClock {
	c := &testClock{}
	c.nanos.Store(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano())
	return c
}

func (c *testClock) now() time.Time          { return time.Unix(0, c.nanos.Load()) }
func (c *testClock) advance(d time.Duration) { c.nanos.Add(int64(d)) }

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) count(s string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), s)
}

// A drive that refuses writes, at whatever step and for whatever reason, still
// serves: the chunk goes on in memory, it is said once, and when the drive
// takes writes again it is used again.
func TestDriveThatRefusesWrites(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.ENOSPC, syscall.EROFS, syscall.EIO} {
		for _, step := range []Op{OpCreate, OpHeader, OpSize, OpPublish, OpBlock, OpEntry} {
			for _, half := range []bool{false, true} {
				name := errno.Error() + " at " + step.String()
				if half {
					name += " half-way"
				}
				t.Run(name, func(t *testing.T) { refuseWrites(t, step, errno, half) })
			}
		}
	}
}

func refuseWrites(t *testing.T, step Op, errno error, half bool) {
	var broken atomic.Bool
	f, clock, logs := newFaultFS(), newClock(), &logBuffer{}
	f.fail = func(op Op, _ string) error {
		if op != step || !broken.Load() {
			return nil
		}
		if half {
			return torn{errno}
		}
		return errno
	}
	s := openStore(t, Config{FS: f, Now: clock.now, Logger: slog.New(slog.NewTextHandler(logs, nil))})
	key, v := object("refused", testSize, 1)
	c := create(t, s, key, v)
	fill(t, c, 0, 4)
	broken.Store(true)
	fill(t, c) // moves when a block or an entry fails
	c.Release()
	c = create(t, s, key, v)
	if n, err := read(t, c, whole(c)); n != c.Len() || err != nil {
		t.Errorf("read %d of %d, %v", n, c.Len(), err)
	}
	for i := range uint32(3) {
		key, v := object("other", 3*storage.ChunkSize, i)
		c := create(t, s, key, v)
		fill(t, c, 0, 7)
		if c.Release(); c.Stored() && step != OpBlock && step != OpEntry {
			t.Error("stored on a broken drive")
		}
	}
	st := s.Stats()
	if want := classify(errno, false); st.Drives[0].State != want || !errors.Is(st.Drives[0].Cause, errno) {
		t.Errorf("state %v because of %v, want %v", st.Drives[0].State, st.Drives[0].Cause, want)
	}
	if st.MemFalls == 0 || st.MemBytes == 0 {
		t.Errorf("nothing in memory: %+v", st)
	}
	if n := logs.count("serving from memory"); n != 1 {
		t.Errorf("said %d times that memory is used", n)
	}
	if n := logs.count("cannot be used as before"); n != 1 {
		t.Errorf("said %d times that the drive is in trouble", n)
	}
	c.Release()

	broken.Store(false)
	clock.advance(maxRetry)
	key, v = object("after", testSize, 1)
	c = create(t, s, key, v)
	fill(t, c)
	defer c.Release()
	if st := s.Stats(); !c.Stored() || st.Drives[0].State != StateOK || st.Drives[0].Cause != nil {
		t.Errorf("drive is not used again: stored %v, %+v", c.Stored(), st.Drives[0])
	}
	if n := logs.count("can be used again"); n != 1 {
		t.Errorf("said %d times that the drive is back", n)
	}
}

// What was moved to memory leaves it, and the drive's older file serves again.
func TestMemoryFileGivesWayToTheDrive(t *testing.T) {
	var full atomic.Bool
	f, clock := newFaultFS(), newClock()
	f.fail = func(op Op, _ string) error {
		if op == OpBlock && full.Load() {
			return syscall.ENOSPC
		}
		return nil
	}
	s := openStore(t, Config{FS: f, Now: clock.now})
	key, v := object("back", testSize, 1)
	c := create(t, s, key, v)
	fill(t, c, 0, 1)
	full.Store(true)
	fill(t, c)
	c.Release()
	full.Store(false)
	clock.advance(10 * time.Minute)
	s.sweepMemory()
	if st := s.Stats(); st.MemBytes != 0 {
		t.Errorf("memory keeps %d bytes", st.MemBytes)
	}
	c = create(t, s, key, v)
	defer c.Release()
	if !c.Stored() || c.Presence().Count() != 2 {
		t.Errorf("stored %v, %d blocks", c.Stored(), c.Presence().Count())
	}
	fill(t, c)
	if n, err := read(t, c, whole(c)); n != c.Len() || err != nil {
		t.Errorf("read %d, %v", n, err)
	}
}

func TestMemoryPoolIsBounded(t *testing.T) {
	f := newFaultFS()
	f.fail = func(op Op, _ string) error {
		if op == OpCreate {
			return syscall.ENOSPC
		}
		return nil
	}
	s := openStore(t, Config{FS: f, MemBytes: 2 * storage.ChunkSize})
	var chunks []*Chunk
	for i := range uint32(2) {
		key, v := object("pool", 4*storage.ChunkSize, i)
		chunks = append(chunks, create(t, s, key, v))
	}
	key, v := object("pool", 4*storage.ChunkSize, 2)
	if _, err := s.Create(t.Context(), key, v); !errors.Is(err, storage.ErrBusy) {
		t.Fatalf("third chunk: %v", err)
	}
	chunks[0].Release() // nobody uses it: it may go
	c := create(t, s, key, v)
	c.Release()
	chunks[1].Release()
	if got := s.Stats().MemBytes; got != 2*storage.ChunkSize {
		t.Errorf("%d bytes in memory", got)
	}
}

// With two drives, the other one takes what the first refuses, and serves
// while the first cannot be read.
func TestDrivesAreIsolated(t *testing.T) {
	var bad atomic.Value // of string
	bad.Store("none")
	f, clock := newFaultFS(), newClock()
	f.fail = func(op Op, path string) error {
		if op != OpSpace && strings.HasPrefix(path, bad.Load().(string)) {
			return syscall.EIO
		}
		return nil
	}
	a, b := t.TempDir(), t.TempDir()
	s := openStore(t, Config{FS: f, Now: clock.now, MemBytes: -1}, a, b)
	on := map[string]int{}
	for i := range uint32(64) {
		key, v := object("spread", 64*storage.ChunkSize, i)
		c := create(t, s, key, v)
		fill(t, c, 0)
		on[c.drive.path]++
		c.Release()
	}
	if on[a] < 16 || on[b] < 16 {
		t.Fatalf("chunks are spread %d to %d", on[a], on[b])
	}
	scanAll(t, s)
	bad.Store(a)
	s.closeIdle(false) // what is open stays readable
	held := 0
	for i := range uint32(64) {
		key, v := object("spread", 64*storage.ChunkSize, i)
		c := create(t, s, key, v)
		held += c.Presence().Count()
		fill(t, c, 0, 1)
		if n, err := read(t, c, whole(c)); n != 2*storage.BlockSize || err != nil || c.drive.path != b {
			t.Errorf("chunk %d: %d, %v, on %s", i, n, err, c.drive.path)
		}
		c.Release()
	}
	if held != on[b] {
		t.Errorf("%d chunks were held, want the %d of the other drive", held, on[b])
	}
	if st := s.Stats(); st.Drives[0].State == StateOK || st.Drives[1].State != StateOK {
		t.Errorf("states %v and %v", st.Drives[0].State, st.Drives[1].State)
	}
}

// With the table of descriptors full, files that nobody uses make place.
func TestDescriptorsRunOut(t *testing.T) {
	var open atomic.Bool
	f := newFaultFS()
	f.fail = func(op Op, _ string) error {
		if op == OpOpen && open.Swap(false) {
			return syscall.EMFILE
		}
		return nil
	}
	s := openStore(t, Config{FS: f})
	a, v := object("a", testSize, 0)
	create(t, s, a, v).Release()
	s.closeIdle(false)
	b, w := object("b", testSize, 0)
	idle := create(t, s, b, w)
	idle.Release()
	open.Store(true)
	c, err := s.Lookup(a)
	if err != nil {
		t.Fatal(err)
	}
	c.Release()
	if _, err := idle.f.Stat(); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("the idle file: %v", err)
	}
	if st := s.Stats().Drives[0].State; st != StateOK {
		t.Errorf("drive is %v", st)
	}
}
