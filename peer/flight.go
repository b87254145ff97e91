package peer

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/mccd/mccd/storage"
)

// errAbandoned ends a flight that nobody follows any more. Who meets it all the
// same asks again.
var errAbandoned = errors.New("nobody wants it any more")

const (
	// linger is how long a flight goes on without followers whatever it has to
	// do: a client may come back for the next piece.
	linger = time.Second
	// littleLeft is what a flight without followers still fetches.
	littleLeft = storage.PieceSize
)

// flight is a fill in progress of one span of one chunk. It belongs to nobody:
// those who want its bytes follow the chunk file and wait for its end.
type flight struct {
	key storage.ChunkKey
	// host is the origin's, for bounds.
	host string
	// span is what it fills in its present turn, and filled before, relative to
	// the chunk, whole blocks. Its end moves in the flight's own goroutine, with
	// flights.mu held: others hold that to read it.
	span storage.Span
	// asOwner tells that the flight acts as the chunk's owner: it asks holders
	// and the origin, never an owner, so that waiting for it cannot go round
	// in a circle.
	asOwner bool
	// tokens are the raw queries that the joiners brought.
	tokens tokens
	// sent tells that the flight acts as owner and its request at the origin is
	// on its way: while it is, the flight waits for no other node, so that
	// another node's owner flight may begin to wait for it.
	sent atomic.Bool
	// slow tells that an owner does not have the bytes yet.
	slow atomic.Bool
	// from is where the bytes come from, as far as is known.
	from atomic.Uint32
	// ctx ends when the flight is abandoned, or the node stops. A request at
	// the origin that was sent outlives it.
	ctx    context.Context
	cancel context.CancelCauseFunc
	// early is what clients may have of the block that is coming.
	early early
	// done is closed at the end; err is set before.
	done chan struct{}
	err  error

	// What follows is guarded by flights.mu.

	// reach is how far the flight is to fill by now; what lies behind span's end
	// is its next turn. grows tells that reach may still be moved.
	reach int64
	grows bool
	// asked is what the last request at the origin asks for.
	asked storage.Span
	// taken are the parts that other flights fill before this one comes to them.
	taken []storage.Span
	// followers counts those who wait for the bytes or will read them; left is
	// when the last one went.
	followers int
	left      time.Time
}

func newFlight(ctx context.Context, j *job, index uint32, span storage.Span, asOwner bool) *flight {
	fl := &flight{
		key: j.o.Key(index), host: j.o.Host, span: span, reach: span.End, grows: j.o.Whole == "",
		asOwner: asOwner, done: make(chan struct{}),
	}
	fl.ctx, fl.cancel = context.WithCancelCause(ctx)
	fl.tokens.bring(j.ref.Query)
	source := storage.SourcePeer
	if asOwner {
		source = storage.SourceOrigin
	}
	fl.from.Store(uint32(source))
	return fl
}

func (fl *flight) source() storage.Source { return storage.Source(fl.from.Load()) }

// abandoned reports whether the flight asks for nothing more.
func (fl *flight) abandoned() bool { return fl.ctx.Err() != nil }

// bound is the span within which the flight still brings bytes. flights.mu is
// held.
func (fl *flight) bound() storage.Span {
	switch {
	case !fl.abandoned():
		return storage.Span{Off: fl.span.Off, End: fl.reach}
	case fl.asOwner:
		return fl.asked // the request is read to its end
	default:
		return storage.Span{}
	}
}

// promised returns what of spans, which are missing, the flight will bring.
// flights.mu is held.
func (fl *flight) promised(spans []storage.Span) []storage.Span {
	bound := fl.bound()
	var out []storage.Span
	for _, s := range spans {
		if s = s.Intersect(bound); !s.Empty() {
			out = append(out, s)
		}
	}
	for _, t := range fl.taken {
		out = subtract(out, t)
	}
	return out
}

// brings reports whether the flight will bring the byte off. flights.mu is held.
func (fl *flight) brings(off int64) bool {
	if bound := fl.bound(); off < bound.Off || off >= bound.End {
		return false
	}
	for _, t := range fl.taken {
		if t.Off <= off && off < t.End {
			return false
		}
	}
	return true
}

// extend lets the flight that ends where span begins bring span too, in a turn
// of its own, and returns that flight; nil = there is none. Two flights side by
// side would only share what the origin sends. mu is held.
func (t *flights) extend(key storage.ChunkKey, span storage.Span, asOwner bool) *flight {
	for _, fl := range t.byKey[key] {
		if fl.grows && fl.reach == span.Off && fl.asOwner == asOwner && !fl.abandoned() {
			fl.reach = span.End
			return fl
		}
	}
	return nil
}

// turn begins fl's next turn; false = it has none, and will have none.
func (t *flights) turn(fl *flight) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if fl.span.End == fl.reach {
		fl.grows = false
		return false
	}
	fl.span.End = fl.reach
	return true
}

// left returns what of missing is left to fl.
func (t *flights) left(fl *flight, missing []storage.Span) []storage.Span {
	t.mu.Lock()
	defer t.mu.Unlock()
	return fl.promised(missing)
}

// claim says what the flight asks the origin for next, at most size bytes of
// missing; it is noted as asked. empty = nothing is left to it. errAbandoned:
// nobody wants it.
func (t *flights) claim(fl *flight, missing []storage.Span, size int64) (storage.Span, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fl.asked = storage.Span{}
	if fl.abandoned() {
		return fl.asked, context.Cause(fl.ctx)
	}
	if left := fl.promised(missing); len(left) > 0 {
		fl.asked = cut(left[0], size)
	}
	return fl.asked, nil
}

// cut returns the beginning of s, at most size bytes, that ends with a piece
// or with s.
func cut(s storage.Span, size int64) storage.Span {
	if s.Len() <= size {
		return s
	}
	s.End = max((s.Off+size)/storage.PieceSize*storage.PieceSize, (s.Off/storage.PieceSize+1)*storage.PieceSize)
	return s
}

// follow counts one more who wants fl's bytes; leave is called for it.
func (t *flights) follow(fl *flight) {
	t.mu.Lock()
	fl.followers++
	t.mu.Unlock()
}

// leave takes back one follow. A flight without followers is abandoned after
// linger, unless little reports that not much is missing of it by then.
func (t *flights) leave(fl *flight, little func(*flight) bool) {
	select {
	case <-fl.done:
		return // it is nobody's business any more
	default:
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if fl.followers--; fl.followers > 0 {
		return
	}
	now := time.Now()
	fl.left = now
	time.AfterFunc(linger, func() {
		if !fl.isOver() && !little(fl) {
			t.abandon(fl, now)
		}
	})
}

func (fl *flight) isOver() bool {
	select {
	case <-fl.done:
		return true
	default:
		return false
	}
}

// abandon ends fl if nobody has come since.
func (t *flights) abandon(fl *flight, since time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if fl.followers == 0 && fl.left.Equal(since) {
		fl.cancel(errAbandoned)
	}
}

// little reports whether so little is missing of fl that it goes on without
// followers: a piece, or what comes within about a second. Of what waits for its
// turn at the origin nothing goes on.
func (f *Filler) little(fl *flight) bool {
	most := int64(littleLeft)
	if fl.asOwner {
		if !fl.sent.Load() || !f.flights.asking(fl) {
			return false
		}
		most = f.paces.request(fl.host)
	}
	span := f.flights.whole(fl)
	chunk, err := f.cfg.Store.Lookup(fl.key)
	if err != nil {
		return span.Len() <= most
	}
	defer chunk.Release()
	left := int64(0)
	for _, s := range f.flights.left(fl, chunk.Missing(span)) {
		left += s.Len()
	}
	return left <= most
}

// whole returns what fl is to fill by now.
func (t *flights) whole(fl *flight) storage.Span {
	t.mu.Lock()
	defer t.mu.Unlock()
	return storage.Span{Off: fl.span.Off, End: fl.reach}
}

// fills reports whether the byte off is among those that fl fills or filled.
func (t *flights) fills(fl *flight, off int64) bool {
	span := t.whole(fl)
	return span.Off <= off && off < span.End
}

// asking reports whether a request of fl at the origin is on its way.
func (t *flights) asking(fl *flight) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !fl.asked.Empty()
}
