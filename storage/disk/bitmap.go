package disk

import (
	"math/bits"
	"sync/atomic"

	"github.com/mccd/mccd/storage"
)

// Bitmap has one bit for each block of a chunk. The zero Bitmap is empty.
type Bitmap [storage.BlocksPerChunk / 64]uint64

// Has reports whether block i is in b; false for an i that no chunk has.
func (b Bitmap) Has(i int) bool {
	return i >= 0 && i < storage.BlocksPerChunk && b[i>>6]>>(i&63)&1 == 1
}

// Count returns the number of blocks in b.
func (b Bitmap) Count() int { return bits.OnesCount64(b[0]) + bits.OnesCount64(b[1]) }

// Empty reports whether b has no block.
func (b Bitmap) Empty() bool { return b == Bitmap{} }

// set adds block i.
func (b *Bitmap) set(i int) { b[i>>6] |= 1 << (i & 63) }

// clear removes block i.
func (b *Bitmap) clear(i int) { b[i>>6] &^= 1 << (i & 63) }

// run returns how many blocks from first to last, both included, are in b one
// after the other.
func (b Bitmap) run(first, last int) int {
	n := 0
	for i := first; i <= last && b.Has(i); i++ {
		n++
	}
	return n
}

// atomicBitmap is a Bitmap whose bits are set and cleared one by one by
// several goroutines.
type atomicBitmap [storage.BlocksPerChunk / 64]atomic.Uint64

func (b *atomicBitmap) load() Bitmap   { return Bitmap{b[0].Load(), b[1].Load()} }
func (b *atomicBitmap) store(v Bitmap) { b[0].Store(v[0]); b[1].Store(v[1]) }
func (b *atomicBitmap) has(i int) bool { return b[i>>6].Load()>>(i&63)&1 == 1 }
func (b *atomicBitmap) set(i int)      { b[i>>6].Or(1 << (i & 63)) }
func (b *atomicBitmap) clear(i int)    { b[i>>6].And(^uint64(1 << (i & 63))) }
