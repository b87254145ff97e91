//go:build unix

package disk

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/mccd/mccd/storage"
)

// abandon is what a crash of the process does: nothing is saved, the lock goes.
func abandon(s *Store) {
	s.closed.Store(true)
	for _, d := range s.drives() {
		d.unlock()
	}
}

func TestContentOutlivesARestart(t *testing.T) {
	for name, end := range map[string]func(*Store){
		"closed":  func(s *Store) { _ = s.Close() },
		"crashed": abandon,
	} {
		for _, scanned := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				dirs := []string{t.TempDir(), t.TempDir()}
				s := openStore(t, Config{}, dirs...)
				for i := range uint32(8) {
					key, v := object("restart", 7*storage.ChunkSize+99, i)
					c := create(t, s, key, v)
					fill(t, c, 0)
					c.Release()
				}
				before := s.Stats()
				end(s)

				s = openStore(t, Config{}, dirs...)
				if scanned {
					scanAll(t, s)
				}
				for i := range uint32(8) {
					key, v := object("restart", 7*storage.ChunkSize+99, i)
					c, err := s.Lookup(key)
					if err != nil {
						t.Fatal(err)
					}
					if c.Version() != v || c.Presence().Count() != 1 {
						t.Errorf("chunk %d: version %+v, %d blocks", i, c.Version(), c.Presence().Count())
					}
					want := min(storage.BlockSize, c.Len())
					if n, err := read(t, c, whole(c)); n != want || err != nil {
						t.Errorf("chunk %d: read %d, %v", i, n, err)
					}
					c.Release()
				}
				if !scanned {
					scanAll(t, s)
				}
				if after := s.Stats(); after.Chunks != before.Chunks || after.Bytes != before.Bytes || !after.Indexed {
					t.Errorf("before %d chunks, %d bytes; after %d chunks, %d bytes",
						before.Chunks, before.Bytes, after.Chunks, after.Bytes)
				}
				if err := auditBooks(s); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// TestKilledProcess kills a real process with SIGKILL in the middle of its
// writes: all that it had published is there.
func TestKilledProcess(t *testing.T) {
	key, v := object("killed", testSize, 0)
	if dir := os.Getenv("MCCD_TEST_KILL_DIR"); dir != "" {
		s, err := New(Config{Drives: []Drive{{Path: dir, Size: 1 << 30}}})
		if err != nil {
			t.Fatal(err)
		}
		fill(t, create(t, s, key, v), 5, 6, 7, 100)
		_, _ = os.Stdout.WriteString("written\n")
		select {} // until it is killed
	}
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledProcess$")
	cmd.Env = append(os.Environ(), "MCCD_TEST_KILL_DIR="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Config{Drives: []Drive{{Path: dir, Size: 1 << 30}}}); !errors.Is(err, ErrLocked) {
		t.Errorf("opened a drive of another process: %v", err)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	s := openStore(t, Config{}, dir)
	c, err := s.Lookup(key)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Release()
	for _, span := range []storage.Span{{Off: 5 * storage.BlockSize, End: 8 * storage.BlockSize}, {Off: 100 * storage.BlockSize, End: 101 * storage.BlockSize}} {
		if n, err := read(t, c, span); n != span.Len() || err != nil {
			t.Errorf("%v: read %d, %v", span, n, err)
		}
	}
	if c.Presence().Count() != 4 {
		t.Errorf("%d blocks", c.Presence().Count())
	}
}

// One flipped bit, anywhere in a file, while the node is stopped: never a
// wrong byte, the rest is served, and it is counted.
func TestBitFlippedWhileStopped(t *testing.T) {
	dir := t.TempDir()
	key, v := object("flip", testSize, 1)
	for _, tt := range []struct {
		name             string
		off              int64
		present, blocks  int
		corrupt, damaged int64
	}{
		{"magic", 3, 0, 0, 0, 1},
		{"size", 50, 0, 0, 0, 1},
		{"validator", stringsOff + 2, 0, 0, 0, 1},
		{"end of header", headSize - 1, 0, 0, 0, 1},
		{"checksum of block 2", tableOff + 2*entrySize, 5, 5, 0, 0},
		{"check of block 2", tableOff + 2*entrySize + 13, 5, 5, 0, 0},
		{"length of block 2", tableOff + 2*entrySize + 4, 5, 5, 0, 0},
		{"entry past the end", tableOff + 6*entrySize, 6, 6, 0, 0},
		{"hole", tableOff + tableSize + 9, 6, 6, 0, 0},
		{"first byte", dataOff, 6, 5, 1, 0},
		{"block 3", dataOff + 3*storage.BlockSize + 77, 6, 5, 1, 0},
		{"last byte", dataOff + 5*storage.BlockSize + 1233, 6, 5, 1, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := openStore(t, Config{}, dir)
			c := create(t, s, key, v)
			fill(t, c)
			c.Release()
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			flip(t, chunkPath(dir, key), tt.off)

			s = openStore(t, Config{}, dir)
			c = create(t, s, key, v)
			if got := c.Presence().Count(); got != tt.present {
				t.Errorf("%d blocks seem present, want %d", got, tt.present)
			}
			held := c
			for range 10 { // until every block that is left was read
				n := 0
				for i := range blocksOf(c.Len()) {
					span := storage.Span{Off: int64(i) * storage.BlockSize, End: min(int64(i+1)*storage.BlockSize, c.Len())}
					if got, err := read(t, c, span); got == span.Len() && err == nil {
						n++
					} else if got != 0 || err != nil && !errors.Is(err, ErrCondemned) {
						t.Errorf("%v: %d, %v", span, got, err)
					}
				}
				if n != tt.blocks {
					t.Errorf("%d blocks are readable, want %d", n, tt.blocks)
				}
				if c.live() {
					break
				}
				c = create(t, s, key, v)
			}
			if st := s.Stats(); st.Corrupt != tt.corrupt || st.Damaged != tt.damaged {
				t.Errorf("corrupt %d, damaged %d", st.Corrupt, st.Damaged)
			}
			fill(t, c)
			if n, err := read(t, c, whole(c)); n != c.Len() || err != nil {
				t.Errorf("after filling again: %d, %v", n, err)
			}
			if c != held {
				held.Release()
			}
			c.Release()
			if err := auditBooks(s); err != nil {
				t.Error(err)
			}
		})
	}
}

// The totals stand for what is on a drive until the scan has found it, and a
// crash adds a margin.
func TestTotalsCountUntilTheScan(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, Config{}, dir)
	key, v := object("totals", testSize, 0)
	c := create(t, s, key, v)
	fill(t, c, 0, 1)
	c.Release()
	used := s.Stats().Bytes
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, Config{}, dir)
	if got := s.Stats().Bytes; got != used {
		t.Errorf("after a clean stop %d bytes count, want %d", got, used)
	}
	abandon(s)
	s = openStore(t, Config{}, dir)
	if got := s.Stats().Bytes; got <= used {
		t.Errorf("after a crash %d bytes count, want more than %d", got, used)
	}
	scanAll(t, s)
	if got := s.Stats().Bytes; got != used {
		t.Errorf("after the scan %d bytes count, want %d", got, used)
	}
	abandon(s)
	if err := os.WriteFile(filepath.Join(dir, "totals"), []byte("used x"), 0o600); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, Config{}, dir)
	if got := s.Stats().Bytes; got < s.drives()[0].limit/2 {
		t.Errorf("with damaged totals %d bytes count", got)
	}
}

func TestScanIgnoresForeignFiles(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, Config{}, dir)
	key, v := object("own", testSize, 0)
	create(t, s, key, v).Release()
	sub := filepath.Dir(chunkPath(dir, key))
	for _, name := range []string{"README", chunkName(key) + "x", "ZZ" + chunkName(key)[2:]} {
		if err := os.WriteFile(filepath.Join(sub, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, Config{Now: func() time.Time { return time.Unix(1, 0) }}, dir)
	scanAll(t, s)
	if n := s.Stats().Chunks; n != 1 {
		t.Errorf("%d chunks", n)
	}
}
