package disk

import (
	"errors"
	"hash/crc32"
	"testing"

	"github.com/mccd/mccd/storage"
)

func TestWriteBlockSum(t *testing.T) {
	s := openStore(t, Config{})
	key, v := object("sums", testSize, 1)
	c := create(t, s, key, v)
	defer c.Release()
	w, err := c.BeginWrite()
	if err != nil {
		t.Fatal(err)
	}
	defer w.End()
	for _, i := range []int{0, 5} { // a whole block and the short last one
		if _, ok := c.Sum(i); ok {
			t.Errorf("block %d has a checksum before it is written", i)
		}
		sum := sumOf(pieces(c, i))
		if err := w.WriteBlockSum(i, pieces(c, i), sum^1); !errors.Is(err, ErrSum) {
			t.Fatalf("block %d under another checksum: %v, want ErrSum", i, err)
		}
		if c.Presence().Has(i) || !c.live() || w.Chunk() != c || w.Wrote() != wrote(c) {
			t.Fatalf("a refused block %d left something: present %v, live %v", i, c.Presence().Has(i), c.live())
		}
		if err := w.WriteBlockSum(i, pieces(c, i), sum); err != nil {
			t.Fatal(err)
		}
		if got, ok := c.Sum(i); !ok || got != sum {
			t.Errorf("block %d: checksum %x, %v; want %x", i, got, ok, sum)
		}
		// What is present is not looked at again.
		if err := w.WriteBlockSum(i, pieces(c, i), sum^1); err != nil {
			t.Errorf("a present block under another checksum: %v", err)
		}
	}
	if n, err := read(t, c, storage.Span{Off: 5 * storage.BlockSize, End: c.Len()}); n != 1234 || err != nil {
		t.Errorf("read %d: %v", n, err)
	}
	for _, i := range []int{-1, 1, 6, storage.BlocksPerChunk} {
		if _, ok := c.Sum(i); ok {
			t.Errorf("block %d has a checksum", i)
		}
	}
}

// wrote is the length of what is present of c.
func wrote(c *Chunk) int64 {
	n := int64(0)
	for i := range blocksOf(c.Len()) {
		if c.Presence().Has(i) {
			n += blockLen(c.Len(), i)
		}
	}
	return n
}

// The checksum that is stored is the one over the bytes in order, whatever the
// pieces.
func TestSumOfPieces(t *testing.T) {
	b := []byte("the bytes of one block")
	if got := sumOf([][]byte{b[:3], nil, b[3:]}); got != crc32.Checksum(b, castagnoli) {
		t.Errorf("sum %x", got)
	}
}
