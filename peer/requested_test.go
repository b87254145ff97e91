package peer

import (
	"sync"
	"testing"

	"github.com/mccd/mccd/storage"
)

func always() bool { return true }

// Each piece counts once, whoever asks for whatever part of it.
func TestRequestedCountsPiecesOnce(t *testing.T) {
	r := newRequested()
	const size = 20<<20 + 5
	var asking sync.WaitGroup
	for range 8 {
		asking.Go(func() {
			for off := int64(0); off < size; off += 100_000 {
				index := storage.ChunkOf(off)
				cs := storage.ChunkSpan(size, index)
				r.add(storage.ChunkKey{Index: index}, storage.Span{Off: off, End: min(off+200_000, cs.End)}, size, always)
			}
		})
	}
	asking.Wait()
	if n := r.bytes.Load(); n != size {
		t.Errorf("counted %d of %d bytes", n, size)
	}
	// Another version is other bytes, and those of another owner are not ours.
	r.add(storage.ChunkKey{Version: storage.VersionID{1}}, storage.Span{End: 1}, size, always)
	r.add(storage.ChunkKey{Version: storage.VersionID{2}}, storage.Span{End: 1}, size, func() bool { return false })
	if n := r.bytes.Load(); n != size+storage.PieceSize {
		t.Errorf("counted %d bytes, want one piece more than %d", n, size)
	}
}

// The chunks remembered are bounded; the latest are among them.
func TestRequestedIsBounded(t *testing.T) {
	r := newRequested()
	const chunks = 3 * requestedHalf
	for i := range uint32(chunks) {
		r.add(storage.ChunkKey{Index: i}, storage.ChunkSpan(1<<45, i), 1<<45, always)
	}
	if n := r.bytes.Load(); n != chunks*storage.ChunkSize {
		t.Errorf("counted %d bytes, want %d", n, chunks*storage.ChunkSize)
	}
	if n := r.now.Load().count.Load(); n > requestedHalf {
		t.Errorf("%d chunks in one half", n)
	}
	r.add(storage.ChunkKey{Index: chunks - requestedHalf}, storage.ChunkSpan(1<<45, chunks-requestedHalf), 1<<45, always)
	if n := r.bytes.Load(); n != chunks*storage.ChunkSize {
		t.Error("a late chunk is counted again")
	}
	r.add(storage.ChunkKey{Index: 0}, storage.ChunkSpan(1<<45, 0), 1<<45, always)
	if n := r.bytes.Load(); n != (chunks+1)*storage.ChunkSize {
		t.Error("the first chunk is still remembered")
	}
}

func TestRequestedAllocatesNothing(t *testing.T) {
	r := newRequested()
	if n := testing.AllocsPerRun(1000, func() {
		r.add(storage.ChunkKey{}, storage.Span{End: 1}, 1<<30, always)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
