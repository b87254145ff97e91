package peer

import (
	"errors"
	"hash/crc32"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/grpc/mem"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/faultorigin"
)

// Blocks that were changed after they were read are dropped, the others are
// stored, and a message whose checksums are not those of its blocks is refused.
func TestChangedBlocksAreDropped(t *testing.T) {
	c := newCluster(t, 1)
	n := c.nodes[0]
	const size = 3*storage.BlockSize + 100
	o := &storage.Object{ID: c.ref("/x").ID(), Version: storage.Version{Kind: storage.ValidatorETag, ETag: `"1"`, Size: size}}
	data := make([]byte, size)
	faultorigin.Fill(data, "/x", "1", 0)
	message := func() *frame {
		m := &frame{data: mem.BufferSlice{mem.SliceBuffer(data[:70000]), mem.SliceBuffer(data[70000:])}, summed: 4}
		for i := range m.summed {
			m.sums[i] = crc32.Checksum(data[i*storage.BlockSize:min(size, (i+1)*storage.BlockSize)], crc32.MakeTable(crc32.Castagnoli))
		}
		return m
	}
	s, err := n.openSink(t.Context(), o.Key(0), o.Version)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()

	m := message()
	m.summed = 3
	if got, err := s.frameData(m); got != 0 || err == nil || errors.Is(err, errCorrupt) {
		t.Errorf("3 checksums for 4 blocks: %d bytes, %v", got, err)
	}
	m = message()
	m.sums[1]++ // as if a bit of the block had flipped
	got, err := s.frameData(m)
	if want := int64(size - storage.BlockSize); got != want || !errors.Is(err, errCorrupt) || !errors.Is(err, errTrouble) {
		t.Fatalf("stored %d, %v; want %d and errCorrupt", got, err, want)
	}
	if left := s.missing(storage.Span{End: size}); len(left) != 1 || left[0] != (storage.Span{Off: storage.BlockSize, End: 2 * storage.BlockSize}) {
		t.Errorf("missing is %v, want block 1", left)
	}
	if got := testutil.ToFloat64(n.metrics.corrupt); got != 1 {
		t.Errorf("%v blocks counted", got)
	}
	if got, err := s.frameData(message()); got != size || err != nil {
		t.Errorf("the right bytes: %d, %v", got, err)
	}
}

// A fill goes on at another node when the owner's bytes change on their way.
func TestFillGoesAroundCorruption(t *testing.T) {
	c := newCluster(t, 3)
	const size = 2 * storage.PieceSize
	path := c.path(0, 1, 2)
	c.origin.Add(faultorigin.Object{Path: path, Size: size})
	ctx := within(t, time.Minute)
	all := storage.Span{End: size}
	if _, err := c.nodes[0].read(ctx, c.request(path, all), "1"); err != nil {
		t.Fatal(err)
	}
	c.nodes[0].spoil(t, path, 3)
	if n, err := c.nodes[2].read(ctx, c.request(path, all), "1"); n != size || err != nil {
		t.Fatalf("read %d: %v", n, err)
	}
	if got := testutil.ToFloat64(c.nodes[1].metrics.corrupt) + testutil.ToFloat64(c.nodes[2].metrics.corrupt); got == 0 {
		t.Error("nobody saw the changed block")
	}
}

// spoil changes block i of the first chunk of path where the node has it in
// memory, as a failing module does: the drive's check has passed already.
func (n *node) spoil(t *testing.T, path string, i int64) {
	t.Helper()
	o := n.cache.Record(n.c.ref(path).ID())
	chunk, err := n.store.Lookup(o.Key(0))
	if err != nil {
		t.Fatal(err)
	}
	defer chunk.Release()
	file, base := chunk.File()
	b := make([]byte, 1)
	at := base + i*storage.BlockSize + 77
	if _, err := file.ReadAt(b, at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 4
	if _, err := file.WriteAt(b, at); err != nil {
		t.Fatal(err)
	}
}
