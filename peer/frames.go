package peer

import (
	"math/bits"
	"sync"
)

const (
	// frameBytes is the most data of one message, in bytes: whole blocks.
	frameBytes = 256 << 10
	// maxSums is how many checksums a received message may have.
	maxSums = maxMessage / (64 << 10)
)

// The sizes of memory that bufferPool keeps, as powers of two: HTTP/2 frames
// take 16 KiB, messages of data frameBytes, all others little.
const (
	leastPooled = 12
	mostPooled  = 18
)

// bufferPool lends memory for what is sent and received. It does not clear it:
// every byte is overwritten before it is read.
type bufferPool struct {
	sizes [mostPooled - leastPooled + 1]sync.Pool
}

// buffers is shared by all connections and calls.
var buffers bufferPool //nolint:gochecknoglobals // a pool

// Get returns n bytes with anything in them.
func (p *bufferPool) Get(n int) *[]byte {
	class := classOf(n)
	if class > mostPooled {
		b := make([]byte, n)
		return &b
	}
	if b, ok := p.sizes[class-leastPooled].Get().(*[]byte); ok {
		*b = (*b)[:n]
		return b
	}
	b := make([]byte, n, 1<<class)
	return &b
}

// Put takes back what Get returned, or a part of it that begins where it begins.
func (p *bufferPool) Put(b *[]byte) {
	size := cap(*b)
	if size < 1<<leastPooled || size > 1<<mostPooled || size&(size-1) != 0 {
		return // it was made for one use
	}
	p.sizes[classOf(size)-leastPooled].Put(b)
}

// classOf returns the least power of two that is kept and has room for n bytes.
func classOf(n int) int { return max(leastPooled, bits.Len(uint(max(n, 1)-1))) }
