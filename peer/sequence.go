package peer

import (
	"hash/maphash"
	"net/netip"
	"sync"

	"github.com/mccd/mccd/storage"
)

const (
	// A sequence goes on where the next range begins at most this far before or
	// after the end of what was asked for: two streams overtake each other by a
	// piece.
	sequenceBefore = 2 * storage.PieceSize
	sequenceAfter  = storage.PieceSize
	// A sequence is read ahead by what it has consumed, at most by
	// sequenceLeast or a share of what it has consumed, whichever is more.
	sequenceLeast = 4 << 20
	sequenceShare = 32

	sequenceSets = 1024
	sequenceWays = 8
)

// sequences remember, by object and client, the ranges that clients ask for one
// after the other: of 8,192 sequences at most, 80 bytes each, who asked
// longest ago is forgotten first. Nothing in it is shared by all requests.
type sequences struct {
	seed maphash.Seed
	sets [sequenceSets]sequenceSet
}

type sequenceSet struct {
	mu   sync.Mutex // guards what follows
	tick uint64
	ways [sequenceWays]sequence
}

// sequence is one of them. front is the end of the furthest range, ahead how far
// flights were started.
type sequence struct {
	object       storage.ObjectID
	client       netip.Addr
	used         uint64 // 0 = the place is free
	born         uint64
	front, ahead int64
	consumed     int64
}

// step is one range of a sequence; the zero value is of none.
type step struct {
	set  *sequenceSet
	way  *sequence
	born uint64
	// ahead is what the sequence is to be read ahead, after the range itself.
	ahead storage.Span
}

func newSequences() *sequences { return &sequences{seed: maphash.MakeSeed()} }

type sequenceKey struct {
	object storage.ObjectID
	client netip.Addr
}

// enter notes that client asks for span of an object of size bytes. most bounds
// the reading ahead.
func (t *sequences) enter(object storage.ObjectID, client netip.Addr, span storage.Span, size, most int64) step {
	if !client.IsValid() || span.Empty() {
		return step{}
	}
	set := &t.sets[maphash.Comparable(t.seed, sequenceKey{object, client})%sequenceSets]
	set.mu.Lock()
	defer set.mu.Unlock()
	set.tick++
	oldest := &set.ways[0]
	for i := range set.ways {
		w := &set.ways[i]
		if w.used < oldest.used {
			oldest = w
		}
		if w.used == 0 || w.object != object || w.client != client ||
			span.Off < w.front-sequenceBefore || span.Off > w.front+sequenceAfter {
			continue
		}
		w.used = set.tick
		w.front = max(w.front, span.End)
		return step{set: set, way: w, born: w.born, ahead: w.more(size, most)}
	}
	*oldest = sequence{object: object, client: client, used: set.tick, born: set.tick, front: span.End}
	return step{set: set, way: oldest, born: set.tick}
}

// more returns what is to be read ahead now. The set's lock is held.
func (w *sequence) more(size, most int64) storage.Span {
	window := min(w.consumed, max(sequenceLeast, w.consumed/sequenceShare), most)
	asked := storage.Span{Off: 0, End: w.front}.Round(storage.PieceSize, size).End
	if w.ahead-asked > window/2 {
		return storage.Span{}
	}
	to := w.front + window
	if to >= size {
		to = size
	} else {
		to -= to % storage.PieceSize
	}
	from := max(asked, w.ahead)
	if to <= from {
		return storage.Span{}
	}
	w.ahead = to
	return storage.Span{Off: from, End: to}
}

// took notes that the client's connection took n bytes of the range.
func (s *step) took(n int64) {
	if s.set == nil || n <= 0 {
		return
	}
	s.set.mu.Lock()
	defer s.set.mu.Unlock()
	if s.way.born == s.born {
		s.way.consumed += n
	}
}
