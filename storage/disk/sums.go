package disk

import (
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/mccd/mccd/storage"
)

// ErrSum: the bytes given are not those that their checksum was made of.
var ErrSum = errors.New("bytes do not match their checksum")

// Sum returns the CRC32C of block i as it was stored; false while the block is
// not present. It costs no system call and says nothing of the bytes on the
// drive: Ready does.
func (c *Chunk) Sum(i int) (crc uint32, ok bool) {
	if i < 0 || i >= storage.BlocksPerChunk || !c.present.has(i) {
		return 0, false
	}
	// A sum is in place before its block is present, and not written again.
	return c.sums[i], true
}

// WriteBlockSum is WriteBlock for bytes that came with their CRC32C: it hashes
// them once, and returns ErrSum, with the block as absent as it was, when they
// are others. The checksum of a block that is present already is not looked at.
func (w *Writer) WriteBlockSum(i int, pieces [][]byte, crc uint32) error {
	return w.write(i, pieces, &crc)
}

// sumOf hashes the bytes of pieces.
func sumOf(pieces [][]byte) uint32 {
	var sum uint32
	for _, b := range pieces {
		sum = crc32.Update(sum, castagnoli, b)
	}
	return sum
}

// sumError says which block's bytes were refused.
func sumError(i int, c *Chunk) error {
	return fmt.Errorf("write block %d of chunk %s: %w", i, c.key, ErrSum)
}
