package peer

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/mccd/mccd/peer/holders"
	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/disk"
)

// flights are the fills in progress on this node.
type flights struct {
	// limit bounds them, perHost those of one origin: one that hangs leaves room
	// for the others.
	limit, perHost int

	mu    sync.Mutex // guards what follows
	count [2]int     // of requesters, of owners: so that neither starves the other
	hosts map[kindOfHost]int
	byKey map[storage.ChunkKey][]*flight
}

type kindOfHost struct {
	host    string
	asOwner bool
}

func newFlights(limit, perHost int) *flights {
	return &flights{
		limit: limit, perHost: perHost,
		hosts: make(map[kindOfHost]int), byKey: make(map[storage.ChunkKey][]*flight),
	}
}

// errFlights: more flights than one origin, or the node, may have.
var errFlights = fmt.Errorf("%w: too many flights", storage.ErrBusy)

// cover returns the flights in progress that fill a part of span, and new ones,
// not yet running, for what is neither present in chunk nor in a flight. All of
// them are followed by the caller, who is to leave them. For asOwner only
// flights that act as owner count as in progress. What is read ahead goes to the
// flight that comes to it anyway, if there is one.
func (t *flights) cover(ctx context.Context, j *job, chunk *disk.Chunk, span storage.Span, asOwner, ahead bool) (joined, started []*flight, err error) {
	key := chunk.Key()
	t.mu.Lock()
	defer t.mu.Unlock()
	// A flight leaves the table after its blocks were published, so what is
	// missing now and in no flight is in nobody's hands.
	open := chunk.Missing(span)
	for _, fl := range t.byKey[key] {
		if asOwner && !fl.asOwner {
			continue
		}
		covered := fl.promised(open)
		if len(covered) == 0 {
			continue
		}
		joined = append(joined, fl)
		for _, c := range covered {
			open = subtract(open, c)
		}
	}
	if len(open) > 0 && ahead {
		if fl := t.extend(key, open[0], asOwner); fl != nil {
			open = open[1:]
			if !slices.Contains(joined, fl) {
				joined = append(joined, fl)
			}
		}
	}
	if len(open) > 0 && !t.room(j.o.Host, asOwner, len(open)) {
		err = errFlights
		open = nil
	}
	for _, fl := range joined {
		t.join(fl, j)
	}
	for _, s := range open {
		fl := newFlight(ctx, j, key.Index, s, asOwner)
		fl.followers = 1
		started = append(started, fl)
		t.put(fl)
	}
	return joined, started, err
}

// join counts the caller as a follower, who brings a token. mu is held.
func (t *flights) join(fl *flight, j *job) {
	fl.followers++
	fl.tokens.bring(j.ref.Query)
}

// room reports whether n more flights are within the bounds. mu is held.
func (t *flights) room(host string, asOwner bool, n int) bool {
	return t.count[kind(asOwner)]+n <= t.limit && t.hosts[kindOfHost{host, asOwner}]+n <= t.perHost
}

// put enters fl. mu is held.
func (t *flights) put(fl *flight) {
	t.byKey[fl.key] = append(t.byKey[fl.key], fl)
	t.count[kind(fl.asOwner)]++
	t.hosts[kindOfHost{fl.host, fl.asOwner}]++
}

// overtake returns a new flight, not yet running and followed by the caller, for
// what is missing of want, that fl would bring late: fl has more than a piece
// to bring before it, and has not asked for it. nil = to wait for fl is right.
func (t *flights) overtake(ctx context.Context, j *job, chunk *disk.Chunk, fl *flight, want storage.Span) *flight {
	ahead := chunk.Missing(storage.Span{Off: fl.span.Off, End: want.Off})
	if len(ahead) == 0 {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	before := int64(0)
	for _, s := range fl.promised(ahead) {
		before += s.Len()
	}
	if before < storage.PieceSize || !fl.asOwner && !fl.slow.Load() {
		return nil
	}
	open := fl.promised(chunk.Missing(want))
	if fl.asOwner {
		open = subtract(open, fl.asked)
	}
	if len(open) == 0 || open[0].Off > want.Off || !t.room(fl.host, fl.asOwner, 1) {
		return nil
	}
	fl.taken = append(fl.taken, open[0])
	first := newFlight(ctx, j, fl.key.Index, open[0], fl.asOwner)
	first.followers = 1
	t.put(first)
	return first
}

// add registers fl, whose bytes are on their way already. The caller follows it.
func (t *flights) add(fl *flight) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fl.asked = fl.span
	fl.followers = 1
	t.put(fl)
}

// at returns a flight that fills the byte off of chunk key, nil when none does.
func (t *flights) at(key storage.ChunkKey, off int64, asOwner bool) *flight {
	t.mu.Lock()
	defer t.mu.Unlock()
	var found *flight
	for _, fl := range t.byKey[key] {
		if asOwner && !fl.asOwner || !fl.brings(off) {
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
		if fl.sent.Load() && fl.brings(off) {
			return fl
		}
	}
	return nil
}

// untaken returns what of missing no flight that acts as owner will bring.
func (t *flights) untaken(key storage.ChunkKey, missing []storage.Span) []storage.Span {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, fl := range t.byKey[key] {
		if !fl.asOwner {
			continue
		}
		for _, s := range fl.promised(missing) {
			missing = subtract(missing, s)
		}
	}
	return missing
}

// onTheirWay returns the blocks of chunk key that flights get from the origin.
func (t *flights) onTheirWay(key storage.ChunkKey) (blocks disk.Bitmap) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, fl := range t.byKey[key] {
		if !fl.sent.Load() {
			continue
		}
		for _, s := range fl.promised([]storage.Span{fl.span}) {
			blocks = blocksOf(blocks, s)
		}
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
			if !fl.sent.Load() {
				continue
			}
			for _, s := range fl.promised([]storage.Span{fl.span}) {
				have = blocksOf(have, s)
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
	host := kindOfHost{fl.host, fl.asOwner}
	if t.hosts[host]--; t.hosts[host] == 0 {
		delete(t.hosts, host)
	}
	t.mu.Unlock()
	fl.err = err
	fl.cancel(nil)
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
