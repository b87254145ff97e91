package peer

import (
	"sync"
	"sync/atomic"

	"github.com/mccd/mccd/peer/holders"
	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/disk"
)

// flight is a fill in progress of one span of one chunk. It belongs to nobody:
// those who want its bytes follow the chunk file and wait for its end.
type flight struct {
	key storage.ChunkKey
	// span is what it fills, relative to the chunk, whole blocks.
	span storage.Span
	// asOwner tells that the flight acts as the chunk's owner: it asks holders
	// and the origin, never an owner, so that waiting for it cannot go round
	// in a circle.
	asOwner bool
	// query is the newest raw query that a joiner brought; it may hold a token.
	query atomic.Pointer[string]
	// sent tells that the flight acts as owner and its request at the origin is
	// on its way: while it is, the flight waits for no other node, so that
	// another node's owner flight may begin to wait for it.
	sent atomic.Bool
	// from is where the bytes come from, as far as is known.
	from atomic.Uint32
	// done is closed at the end; err is set before.
	done chan struct{}
	err  error
}

func newFlight(key storage.ChunkKey, span storage.Span, asOwner bool, query string) *flight {
	fl := &flight{key: key, span: span, asOwner: asOwner, done: make(chan struct{})}
	fl.query.Store(&query)
	source := storage.SourcePeer
	if asOwner {
		source = storage.SourceOrigin
	}
	fl.from.Store(uint32(source))
	return fl
}

func (fl *flight) source() storage.Source { return storage.Source(fl.from.Load()) }

// flights are the fills in progress on this node.
type flights struct {
	limit int

	mu    sync.Mutex // guards what follows
	count [2]int     // of requesters, of owners: so that neither starves the other
	byKey map[storage.ChunkKey][]*flight
}

func newFlights(limit int) *flights {
	return &flights{limit: limit, byKey: make(map[storage.ChunkKey][]*flight)}
}

// cover returns the flights in progress that fill a part of span, and new ones,
// not yet running, for what is neither present in chunk nor in a flight. For
// asOwner only flights that act as owner count as in progress.
func (t *flights) cover(chunk *disk.Chunk, span storage.Span, asOwner bool, query string) (joined, started []*flight, err error) {
	key := chunk.Key()
	t.mu.Lock()
	defer t.mu.Unlock()
	// A flight leaves the table after its blocks were published, so what is
	// missing now and in no flight is in nobody's hands.
	open := chunk.Missing(span)
	for _, fl := range t.byKey[key] {
		if asOwner && !fl.asOwner || fl.span.Intersect(span).Empty() {
			continue
		}
		joined = append(joined, fl)
		open = subtract(open, fl.span)
	}
	if len(open) > 0 && t.count[kind(asOwner)]+len(open) > t.limit {
		return joined, nil, storage.ErrBusy
	}
	for _, fl := range joined {
		if query != "" {
			fl.query.Store(&query)
		}
	}
	for _, s := range open {
		fl := newFlight(key, s, asOwner, query)
		started = append(started, fl)
		t.byKey[key] = append(t.byKey[key], fl)
		t.count[kind(asOwner)]++
	}
	return joined, started, nil
}

// add registers fl, whose bytes are on their way already.
func (t *flights) add(fl *flight) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.byKey[fl.key] = append(t.byKey[fl.key], fl)
	t.count[kind(fl.asOwner)]++
}

// at returns a flight that fills the byte off of chunk key, nil when none does.
func (t *flights) at(key storage.ChunkKey, off int64, asOwner bool) *flight {
	t.mu.Lock()
	defer t.mu.Unlock()
	var found *flight
	for _, fl := range t.byKey[key] {
		if off < fl.span.Off || off >= fl.span.End || asOwner && !fl.asOwner {
			continue
		}
		if found == nil || fl.asOwner {
			found = fl
		}
	}
	return found
}

// sentAt returns a flight that fills the byte off of chunk key and waits for
// the origin alone, nil when none does.
func (t *flights) sentAt(key storage.ChunkKey, off int64) *flight {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, fl := range t.byKey[key] {
		if fl.span.Off <= off && off < fl.span.End && fl.sent.Load() {
			return fl
		}
	}
	return nil
}

// onTheirWay returns the blocks of chunk key that flights get from the origin.
func (t *flights) onTheirWay(key storage.ChunkKey) (blocks disk.Bitmap) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, fl := range t.byKey[key] {
		if !fl.sent.Load() {
			continue
		}
		blocks = blocksOf(blocks, fl.span)
	}
	return blocks
}

// atOrigin returns what flights get from origins.
func (t *flights) atOrigin() (out []holders.Held) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for key, list := range t.byKey {
		var have disk.Bitmap
		for _, fl := range list {
			if fl.sent.Load() {
				have = blocksOf(have, fl.span)
			}
		}
		if !have.Empty() {
			out = append(out, holders.Held{Key: key, Have: have})
		}
	}
	return out
}

// owned returns the number of flights in progress that act as owner.
func (t *flights) owned() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.count[kind(true)]
}

// end takes fl out and wakes all who wait for it.
func (t *flights) end(fl *flight, err error) {
	t.mu.Lock()
	list := t.byKey[fl.key]
	for i, other := range list {
		if other == fl {
			list = append(list[:i:i], list[i+1:]...)
			break
		}
	}
	if len(list) == 0 {
		delete(t.byKey, fl.key)
	} else {
		t.byKey[fl.key] = list
	}
	t.count[kind(fl.asOwner)]--
	t.mu.Unlock()
	fl.err = err
	close(fl.done)
}

// open returns the number of flights in progress.
func (t *flights) open() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.count[0] + t.count[1]
}

func kind(asOwner bool) int {
	if asOwner {
		return 1
	}
	return 0
}

// subtract returns what of spans, which are sorted, is not in cut.
func subtract(spans []storage.Span, cut storage.Span) []storage.Span {
	var out []storage.Span
	for _, s := range spans {
		if before := (storage.Span{Off: s.Off, End: min(s.End, cut.Off)}); !before.Empty() {
			out = append(out, before)
		}
		if after := (storage.Span{Off: max(s.Off, cut.End), End: s.End}); !after.Empty() {
			out = append(out, after)
		}
	}
	return out
}
