package peer

import (
	"hash/maphash"
	"sync"
	"sync/atomic"

	"github.com/mccd/mccd/storage"
)

const (
	// requestedChunks bounds the chunks that are remembered, in two halves of 8
	// bytes times requestedSlots each.
	requestedChunks = 1 << 17
	requestedSlots  = requestedChunks // half full at most
	requestedProbes = 32
	// requestedHalf is how many chunks are noted before the older half is
	// forgotten.
	requestedHalf = requestedChunks / 2
)

// requested counts the bytes that clients asked for, each piece once: of the
// acting owner those asked of it, by its own clients and by other nodes. It
// remembers the last 65,536 to 131,072 chunks in 2 MiB; a piece that is asked
// for again after that is counted again. It takes no lock but when a half is
// full.
type requested struct {
	seed  maphash.Seed
	bytes atomic.Int64

	turning  sync.Mutex // one turn at a time
	now, old atomic.Pointer[requestedTable]
}

// requestedTable is one half: a table of chunks: 56 bits of the key's hash, and a bit for
// each piece.
type requestedTable struct {
	count atomic.Int64
	slots [requestedSlots]atomic.Uint64
}

func newRequested() *requested {
	t := &requested{seed: maphash.MakeSeed()}
	t.now.Store(new(requestedTable))
	return t
}

// pieceBits has a bit for each piece that span, relative to its chunk, touches.
func pieceBits(span storage.Span) (bits uint64) {
	for i := span.Off / storage.PieceSize; i*storage.PieceSize < span.End; i++ {
		bits |= 1 << i
	}
	return bits
}

// slot returns the place of hash, the first free one where it has none; nil = the
// table is crowded there.
func (h *requestedTable) slot(hash uint64) *atomic.Uint64 {
	tag := hash &^ 0xff
	for i := range uint64(requestedProbes) {
		s := &h.slots[(hash>>8+i)%requestedSlots]
		if v := s.Load(); v == 0 || v&^0xff == tag {
			return s
		}
	}
	return nil
}

// bits returns which pieces are noted under hash.
func (h *requestedTable) bits(hash uint64) uint64 {
	if h == nil {
		return 0
	}
	s := h.slot(hash)
	if s == nil {
		return 0
	}
	return s.Load() & 0xff
}

// add notes span, the object's offsets in chunk key of an object of size bytes,
// unless mine, which is asked only of pieces that are new, says that another
// node counts them.
func (t *requested) add(key storage.ChunkKey, span storage.Span, size int64, mine func() bool) {
	base := int64(key.Index) * storage.ChunkSize
	want := pieceBits(span.Shift(-base))
	hash := maphash.Comparable(t.seed, key)
	now := t.now.Load()
	seen := now.bits(hash)
	if want&^seen == 0 {
		return
	}
	seen |= t.old.Load().bits(hash)
	fresh := want &^ seen
	if fresh != 0 && !mine() {
		fresh = 0
	}
	// Of two that come with the same piece one notes it first.
	fresh &= now.note(hash, want|seen)
	for i := int64(0); fresh>>i != 0; i++ {
		if fresh>>i&1 != 0 {
			off := base + i*storage.PieceSize
			t.bytes.Add(min(off+storage.PieceSize, size) - off)
		}
	}
	if now.count.Load() >= requestedHalf {
		t.turn(now)
	}
}

// note sets bits under hash and returns which of them were not set.
func (h *requestedTable) note(hash, bits uint64) (fresh uint64) {
	for s := h.slot(hash); s != nil; s = h.slot(hash) {
		was := s.Load()
		if was != 0 && was&^0xff != hash&^0xff {
			continue // another took the free place
		}
		if s.CompareAndSwap(was, hash&^0xff|was&0xff|bits) {
			if was == 0 {
				h.count.Add(1)
			}
			return bits &^ was
		}
	}
	return bits // it is crowded: counted, and perhaps once more
}

// turn forgets the older half and begins a new one, if full is still the present.
func (t *requested) turn(full *requestedTable) {
	t.turning.Lock()
	defer t.turning.Unlock()
	if t.now.Load() == full {
		t.old.Store(full)
		t.now.Store(new(requestedTable))
	}
}

// asked counts span of o, which lies in one chunk, as asked for, where this node
// is the chunk's acting owner.
func (f *Filler) asked(o *storage.Object, span storage.Span) {
	index := storage.ChunkOf(span.Off)
	f.requested.add(o.Key(index), span, o.Size(), func() bool { return f.actsAsOwner(o, index) })
}

// Requested returns the bytes that clients, of any node, asked for of chunks for
// which this node acts as owner, in whole pieces, each counted once as far as
// memory goes. What was read ahead on behalf of another node's client counts
// too.
func (f *Filler) Requested() int64 { return f.requested.bytes.Load() }

// amplification returns the bytes from origins for each byte asked for; 1 before
// the first.
func (f *Filler) amplification() float64 {
	if n := f.Requested(); n > 0 {
		return float64(f.OriginBytes()) / float64(n)
	}
	return 1
}
