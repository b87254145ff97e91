package peer

import (
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"

	"github.com/mccd/mccd/ring"

	peerv1 "github.com/mccd/mccd/proto/mccd/peer/v1"
	"github.com/mccd/mccd/storage"
)

// question asks for the current version of an object, together with the first
// wanted bytes.
type question struct {
	ref   storage.Ref
	rule  *storage.Rule
	first storage.Span
	// recordOnly: no bytes are wanted with the answer.
	recordOnly bool
	// always: a fresh record does not answer, be it by the rule or because the
	// client asks for what the origin says now.
	always bool
	// stale is the record that the asker has, nil for none; refuted is a
	// version that the origin was seen to contradict.
	stale   *storage.Object
	refuted storage.VersionID
	// asOwner: the asker acts as owner of the first chunk on behalf of
	// another node.
	asOwner bool
	passed  []*peerv1.PassedOver
	caller  string
	// brought takes the flight that came with the answer, where this very
	// question was asked; nil = nobody wants to know.
	brought *atomic.Pointer[flight]
}

// bring tells the asker which flight came with the answer; nil for none.
func (q *question) bring(fl *flight) {
	if q.brought != nil && fl != nil {
		q.brought.Store(fl)
	}
}

// maxOffset is beyond the end of any object, and what chunk numbers can count.
const maxOffset = 1 << 50

// span returns the bytes to ask for with the question: the first wanted ones,
// rounded to pieces, in one chunk. A suffix range asks for the first piece.
func (q *question) span() storage.Span {
	off := max(0, q.first.Off)
	if q.recordOnly && q.stale == nil || off >= maxOffset {
		off = 0
	}
	end := min(max(q.first.End, off+1), maxOffset)
	chunkEnd := (off/storage.ChunkSize + 1) * storage.ChunkSize
	if q.first.Off < 0 || q.first.Off >= maxOffset || q.first.End == math.MaxInt64 {
		end = off + 1 // one piece
	}
	return storage.Span{Off: off, End: min(end, chunkEnd)}.Round(storage.PieceSize, chunkEnd)
}

// resolving are the questions in progress on this node. Those that act as owner
// are apart from those that wait for an owner, so that two nodes that disagree
// about the owner never wait for each other.
type resolving struct {
	mu    sync.Mutex // guards byKey
	byKey map[resolvingKey]*resolution
}

type resolvingKey struct {
	id      storage.ObjectID
	asOwner bool
	always  bool // else it might be answered by a record
	// token is the raw query where only those who bring the same ask together:
	// after another's was refused.
	token string
}

// resolution is one question in progress; done is closed at its end, o and err
// set before.
type resolution struct {
	chunk uint32
	query string // which may hold a token
	done  chan struct{}
	o     *storage.Object
	err   error
}

func newResolving() *resolving {
	return &resolving{byKey: make(map[resolvingKey]*resolution)}
}

func (t *resolving) start(key resolvingKey, chunk uint32, query string) (r *resolution, mine bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r = t.byKey[key]; r != nil {
		return r, false
	}
	r = &resolution{chunk: chunk, query: query, done: make(chan struct{})}
	t.byKey[key] = r
	return r, true
}

func (t *resolving) end(key resolvingKey, r *resolution, o *storage.Object, err error) {
	t.mu.Lock()
	if t.byKey[key] == r {
		delete(t.byKey, key)
	}
	t.mu.Unlock()
	r.o, r.err = o, err
	close(r.done)
}

// ownerAt returns the question in progress, if any, that acts as owner of chunk
// of object id: its answer brings bytes of that chunk.
func (t *resolving) ownerAt(id storage.ObjectID, chunk uint32) *resolution {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, always := range [...]bool{false, true} {
		if r := t.byKey[resolvingKey{id, true, always, ""}]; r != nil && r.chunk == chunk {
			return r
		}
	}
	return nil
}

// purgedTries bounds how often a question is asked again whose answer a purge
// has overtaken.
const purgedTries = 4

// resolve answers q, with others that ask the same. The question goes on when
// ctx ends.
func (f *Filler) resolve(ctx context.Context, q question) (*storage.Object, error) {
	r, err := f.resolveOnce(ctx, q, "")
	for tries := 0; errors.Is(err, errPurged) && tries < purgedTries; tries++ {
		if q.stale != nil {
			q.stale = f.cache.Record(q.stale.ID)
		}
		r, err = f.resolveOnce(ctx, q, "")
	}
	if refused(err) && r.query != q.ref.Query {
		r, err = f.resolveOnce(ctx, q, q.ref.Query) // the token refused was another's
	}
	if err != nil {
		return nil, err
	}
	return r.o, nil
}

func (f *Filler) resolveOnce(ctx context.Context, q question, token string) (*resolution, error) {
	key := resolvingKey{q.ref.ID(), q.asOwner, q.always, token}
	r, mine := f.resolving.start(key, storage.ChunkOf(q.span().Off), q.ref.Query)
	if mine {
		asked := f.detach(func() {
			o, err := f.ask(q)
			f.metrics.resolves.WithLabelValues(resultLabel(err)).Inc()
			f.resolving.end(key, r, o, err)
		})
		if !asked {
			f.resolving.end(key, r, nil, errStopped)
		}
	}
	select {
	case <-r.done:
		return r, r.err
	case <-ctx.Done():
		return r, context.Cause(ctx)
	}
}

func resultLabel(err error) string {
	switch {
	case err == nil:
		return "ok"
	case final(err):
		return "origin"
	default:
		return "node"
	}
}

// ask finds who acts as owner of the first wanted chunk and asks there.
func (f *Filler) ask(q question) (*storage.Object, error) {
	if q.asOwner {
		return f.askAsOwner(q)
	}
	r := &route{f: f, id: q.ref.ID(), index: storage.ChunkOf(q.span().Off)}
	if q.stale != nil {
		r.whole = q.stale.Whole
		q.recordOnly = q.recordOnly || q.refuted == (storage.VersionID{}) && f.holds(q.stale, q.span())
	}
	deadline := f.cfg.Now().Add(f.cfg.Budget)
	troubles := 0
	for {
		if err := context.Cause(f.ctx); err != nil {
			return nil, err
		}
		node := r.next()
		if node == nil {
			q.asOwner, q.passed = true, r.passed
			return f.resolve(f.ctx, q)
		}
		o, err := f.askOwner(q, r, node)
		switch {
		case o != nil:
			return o, nil // its bytes may still be on their way, or late
		case final(err) || errors.Is(err, errFull):
			return nil, err
		case errors.Is(err, storage.ErrBusy) && f.cfg.Now().Before(deadline):
			if !f.pause(f.cfg.Heartbeat) {
				return nil, context.Cause(f.ctx)
			}
		case errors.Is(err, errPurged):
			return nil, err
		case errors.Is(err, errBroken):
			// The same node, over a new connection.
		case errors.Is(err, errSilent):
			r.pass(node.ID, peerv1.PassedOver_REASON_SILENT)
		default:
			if !f.turnAway(r, node, err, &troubles) {
				return nil, err
			}
		}
	}
}

// askOwner asks node, the acting owner, for the record and the first wanted
// bytes. It returns as soon as the record is known; the bytes go on coming as a
// flight.
func (f *Filler) askOwner(q question, r *route, node *ring.Node) (*storage.Object, error) {
	span := q.span()
	known := make(chan *storage.Object, 1)
	ended := make(chan error, 1)
	x := &exchange{f: f, node: node, req: &peerv1.FillRequest{
		Mode: peerv1.FillRequest_MODE_FILL, Ref: refToProto(q.ref), Record: recordToProto(f.vouch(q.stale), f.cfg.Now()),
		Offset: span.Off, End: span.End, Caller: f.self(), ViewDigest: r.digest, Epoch: epochToProto(r.epoch),
		PassedOver: r.passed, Revalidate: q.stale != nil, RecordOnly: q.recordOnly,
		Refuted: q.refuted != (storage.VersionID{}), Always: q.always, PurgeIndex: f.purges().Stamp().Index,
	}}
	asked := f.detach(func() {
		var fl *flight
		var j *job
		var s *sink
		var sole bool
		ctx, cancel := context.WithCancelCause(f.ctx)
		defer cancel(nil)
		x.onRecord = func(o *storage.Object) (*sink, error) {
			kept := f.cache.Publish(o)
			if o = f.judge(o, false); kept == nil || o == nil {
				if f.purges().Stamp().Index != x.req.GetPurgeIndex() {
					return nil, errPurged
				}
				return nil, errBehind
			}
			// The bytes that follow are o's, whatever this node knows besides.
			current := kept
			if kept.Version.ID() != o.Version.ID() && !kept.Fresh(f.cfg.Now()) {
				current = o
			}
			wanted := span.Intersect(storage.Span{End: o.Size()})
			if q.recordOnly || wanted.Empty() {
				known <- current
				return nil, nil
			}
			var err error
			index := storage.ChunkOf(span.Off)
			if s, err = f.openSink(f.ctx, o.Key(index), o.Version); err != nil {
				known <- current
				return nil, err
			}
			sole = f.solely(o.Key(index), node)
			j = &job{o: o, ref: q.ref, rule: q.rule}
			fl = newFlight(f.ctx, j, index, wanted.Shift(-int64(index)*storage.ChunkSize), false)
			context.AfterFunc(fl.ctx, func() { cancel(context.Cause(fl.ctx)) })
			f.flights.add(fl)
			q.bring(fl)
			f.flights.leave(fl, f.little)
			known <- current
			return s, nil
		}
		err := x.run(ctx, q.ref, 0)
		f.metrics.fillBytes.WithLabelValues("peer").Add(float64(x.stored))
		if s != nil {
			s.close()
		}
		if fl != nil {
			// Those who wait for the rest start a flight of their own, which
			// knows the version and goes through all candidates.
			f.gotFrom(node, fl.key, x.stored, sole)
			if err == nil && f.flights.turn(fl) {
				f.flights.end(fl, f.flyAsRequester(fl, j))
			} else {
				f.flights.end(fl, handedOn(err))
			}
		}
		ended <- err
	})
	if !asked {
		return nil, errStopped
	}
	select {
	case o := <-known:
		return o, nil
	case err := <-ended:
		select {
		case o := <-known:
			return o, nil
		default:
		}
		if err == nil {
			err = errTrouble
		}
		return nil, err
	}
}

// handedOn returns the error with which a flight ends that brought bytes
// together with a record: only what is final for the cluster ends those who
// wait, else they ask again.
func handedOn(err error) error {
	if err != nil && final(err) {
		return err
	}
	return nil
}

// holds reports whether this node has all of span of o.
func (f *Filler) holds(o *storage.Object, span storage.Span) bool {
	index := storage.ChunkOf(span.Off)
	cs := storage.ChunkSpan(o.Size(), index)
	chunk, err := f.cfg.Store.Lookup(o.Key(index))
	if err != nil {
		return false
	}
	defer chunk.Release()
	return len(chunk.Missing(span.Intersect(cs).Shift(-cs.Off))) == 0
}

// brings reports whether some of span of o, which lies in one chunk, is here or on
// its way to this node as owner, so that asking the origin for all of it would
// fetch that twice.
func (f *Filler) brings(o *storage.Object, span storage.Span) bool {
	index := storage.ChunkOf(span.Off)
	cs := storage.ChunkSpan(o.Size(), index)
	wanted := span.Intersect(cs).Shift(-cs.Off)
	if o.Whole != "" || wanted.Empty() {
		return false
	}
	missing := []storage.Span{wanted}
	if chunk, err := f.cfg.Store.Lookup(o.Key(index)); err == nil {
		missing = chunk.Missing(wanted)
		chunk.Release()
	}
	left := f.flights.untaken(o.Key(index), missing)
	return len(left) != 1 || left[0] != wanted
}
