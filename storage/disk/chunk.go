package disk

import (
	"os"
	"sync"
	"sync/atomic"

	"github.com/mccd/mccd/storage"
)

// The states of a Chunk. It leaves stateLive once, but for a move that found
// no place to go to.
const (
	stateLive uint32 = iota
	// stateMoving: its drive took no write; it is to go on elsewhere.
	stateMoving
	// stateCondemned: a block did not match its checksum.
	stateCondemned
	// stateReplaced: its key has another file now, and Ready reports nothing
	// more of this one.
	stateReplaced
)

// Chunk is one open chunk file, or memory file, shared by all who use it. Its
// methods are safe for concurrent use until Release.
type Chunk struct {
	s       *Store
	sh      *shard
	e       *entry
	drive   *drive // nil for a memory file
	key     storage.ChunkKey
	version storage.Version
	length  int64
	f       *os.File
	base    int64
	// readOnly tells that the drive did not let the file be opened for writing.
	readOnly bool

	// A bit in present is set after the block's bytes and its sum are in
	// place, and cleared only when the block is found corrupt.
	present atomicBitmap
	// verified has the blocks whose bytes in the page cache, if they are
	// there, are known to be right.
	verified atomicBitmap
	sums     [storage.BlocksPerChunk]uint32
	state    atomic.Uint32
	// wake is the channel that Progress gave out since the last publication.
	wake atomic.Pointer[chan struct{}]

	// mu guards the writes in progress: at most one per block, none once the
	// state is not live.
	mu       sync.Mutex
	writing  Bitmap
	inflight int
	quiet    chan struct{} // closed when inflight gets to 0
	// bad tells that a block was condemned: its place in this file is spent.
	bad bool
	// lost has the blocks that were condemned.
	lost Bitmap
	// checking has the blocks that are being read to be verified, checked
	// closes when one of these checks is over; nil while nobody waits.
	checking Bitmap
	checked  chan struct{}

	// Guarded by sh.mu.
	refs               int
	idlePrev, idleNext *Chunk
	isIdle             bool
}

func (c *Chunk) bind(s *Store, sh *shard, e *entry) { c.s, c.sh, c.e, c.drive = s, sh, e, e.drive }

func (c *Chunk) live() bool { return c.state.Load() == stateLive }

// Release gives back one Lookup or Create. The last one lets the file go.
func (c *Chunk) Release() { c.s.closeChunk(c.s.unpin(c.sh, c)) }

// Key returns the chunk's key.
func (c *Chunk) Key() storage.ChunkKey { return c.key }

// Version returns the version whose bytes the chunk holds.
func (c *Chunk) Version() storage.Version { return c.version }

// Len returns the chunk's length in bytes, whatever of it is present.
func (c *Chunk) Len() int64 { return c.length }

// Stored reports whether the chunk is on a drive; false for a memory file.
func (c *Chunk) Stored() bool { return c.drive != nil }

// Presence returns the blocks that are present now.
func (c *Chunk) Presence() Bitmap { return c.present.load() }

// Missing returns the stretches of span that are not present, in order, as
// offsets in the chunk, widened to whole blocks (the last is cut at Len).
// What is being written counts as missing.
func (c *Chunk) Missing(span storage.Span) []storage.Span {
	span = span.Intersect(storage.Span{End: c.length})
	if span.Empty() {
		return nil
	}
	present := c.present.load()
	var out []storage.Span
	first, last := int(span.Off/storage.BlockSize), int((span.End-1)/storage.BlockSize)
	for i := first; i <= last; i++ {
		if present.Has(i) {
			continue
		}
		off := int64(i) * storage.BlockSize
		end := off + blockLen(c.length, i)
		if n := len(out); n > 0 && out[n-1].End == off {
			out[n-1].End = end
			continue
		}
		out = append(out, storage.Span{Off: off, End: end})
	}
	return out
}

// File returns the descriptor and the offset in it of the chunk's byte 0, for
// sendfile and pread of what Ready reported. It is shared: read it at explicit
// offsets, never write, seek or close it. It is valid until Release.
func (c *Chunk) File() (*os.File, int64) { return c.f, c.base }

// Progress returns a channel that closes when the next block is published, a
// write fails, or the chunk is condemned or moved. Take it before Ready, so
// that nothing between the two is missed. It allocates only for the first
// taker since the last such event, and an event allocates nothing.
func (c *Chunk) Progress() <-chan struct{} {
	for {
		if ch := c.wake.Load(); ch != nil {
			return *ch
		}
		ch := make(chan struct{})
		if c.wake.CompareAndSwap(nil, &ch) {
			return ch
		}
	}
}

func (c *Chunk) wakeAll() {
	if c.wake.Load() == nil {
		return
	}
	if ch := c.wake.Swap(nil); ch != nil {
		close(*ch)
	}
}

// settle waits until no block of a chunk that left the live state is being
// written: no write begins any more.
func (c *Chunk) settle() {
	c.mu.Lock()
	if c.inflight == 0 {
		c.mu.Unlock()
		return
	}
	if c.quiet == nil {
		c.quiet = make(chan struct{})
	}
	quiet := c.quiet
	c.mu.Unlock()
	<-quiet
}

// retire ends the chunk's reports: a later Ready gets ErrMoved, and no check
// is in progress any more. Its file may get another Chunk after that, whose
// checks this one would not see. What was reported stays readable.
func (c *Chunk) retire() {
	c.mu.Lock()
	c.state.Store(stateReplaced)
	for !c.checking.Empty() {
		wait := c.checkOver()
		c.mu.Unlock()
		<-wait
		c.mu.Lock()
	}
	c.mu.Unlock()
	c.wakeAll()
}

// checkOver returns the channel that closes when a check is over. mu is held.
func (c *Chunk) checkOver() <-chan struct{} {
	if c.checked == nil {
		c.checked = make(chan struct{})
	}
	return c.checked
}
