package disk

import (
	"context"
	"sync"
	"testing"

	"github.com/mccd/mccd/storage"
)

// 200 followers of one flight get every byte while it is written.
func TestFollowers(t *testing.T) {
	s := openStore(t, Config{})
	key, v := object("follow", testSize, 1)
	c := create(t, s, key, v)
	defer c.Release()
	var wg, waiting sync.WaitGroup
	waiting.Add(200)
	for range 200 {
		wg.Go(func() {
			span := whole(c)
			buf := make([]byte, c.Len())
			f, base := c.File()
			for first := true; !span.Empty(); {
				progress := c.Progress()
				n, err := c.Ready(t.Context(), span)
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := f.ReadAt(buf[:n], base+span.Off); err != nil {
					t.Error(err)
				}
				if string(buf[:n]) != string(content(key, storage.Span{Off: span.Off, End: span.Off + n})) {
					t.Error("wrong bytes")
				}
				span.Off += n
				if first {
					waiting.Done()
					first = false
				}
				if n == 0 {
					<-progress
				}
			}
		})
	}
	waiting.Wait()
	fill(t, c)
	wg.Wait()
}

func TestProgressWakesAtTrouble(t *testing.T) {
	s := openStore(t, Config{})
	key, v := object("wake", testSize, 1)
	c := create(t, s, key, v)
	defer c.Release()
	fill(t, c, 0)
	progress := c.Progress()
	if progress != c.Progress() {
		t.Error("two waiters have two channels")
	}
	c.condemn(0, nil)
	<-progress
	again, err := s.Lookup(key)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Release()
	if again == c || !again.Presence().Empty() {
		t.Error("not repaired")
	}
	progress = again.Progress()
	again.retire()
	<-progress
}

// A hit costs no allocation, nor does the publication of a block while nobody
// waits.
func TestHitsDoNotAllocate(t *testing.T) {
	s := openStore(t, Config{})
	key, v := object("alloc", testSize, 0)
	c := create(t, s, key, v)
	defer c.Release()
	fill(t, c)
	ctx := context.Background()
	span := storage.Span{Off: 3 * storage.BlockSize, End: 4 * storage.BlockSize}
	if n := testing.AllocsPerRun(100, func() {
		c, err := s.Lookup(key)
		if err != nil {
			t.Error(err)
		}
		if n, err := c.Ready(ctx, span); n != storage.BlockSize || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		c.File()
		c.wakeAll()
		c.Release()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkHit(b *testing.B) {
	for name, n := range map[string]int64{"64KiB": 64 << 10, "1MiB": 1 << 20, "8MiB": 8 << 20} {
		b.Run(name, func(b *testing.B) {
			s := openStore(b, Config{})
			key, v := object("bench", testSize, 0)
			c := create(b, s, key, v)
			fill(b, c)
			c.Release()
			b.ReportAllocs()
			for b.Loop() {
				c, err := s.Lookup(key)
				if err != nil {
					b.Fatal(err)
				}
				if got, err := c.Ready(context.Background(), storage.Span{End: n}); got != n || err != nil {
					b.Fatal(got, err)
				}
				c.Release()
			}
		})
	}
}

func BenchmarkWriteBlock(b *testing.B) {
	s := openStore(b, Config{Drives: []Drive{{Path: b.TempDir(), Size: 1 << 30}}})
	buf := make([]byte, storage.BlockSize)
	b.SetBytes(storage.BlockSize)
	b.ReportAllocs()
	var w *Writer
	i, index := storage.BlocksPerChunk, uint32(0)
	for b.Loop() {
		if i == storage.BlocksPerChunk {
			if w != nil {
				w.End()
			}
			key, v := object("bench", 1<<50, index)
			c := create(b, s, key, v)
			w, _ = c.BeginWrite()
			c.Release()
			i, index = 0, index+1
		}
		if err := w.WriteBlock(i, [][]byte{buf}); err != nil {
			b.Fatal(err)
		}
		i++
	}
	w.End()
}
