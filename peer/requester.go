package peer

import (
	"context"
	"errors"
	"fmt"
	"time"

	peerv1 "github.com/mccd/mccd/proto/mccd/peer/v1"
	"github.com/mccd/mccd/ring"
	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/disk"
)

// job is what a flight works for: the object and the way to ask for it.
type job struct {
	o    *storage.Object
	ref  storage.Ref
	rule *storage.Rule
	// past tells that o is an earlier version: the origin is not asked for it.
	past bool
	// passed are the candidates that a requester passed over, where the
	// flight acts as owner on its behalf; caller is that requester.
	passed []*peerv1.PassedOver
	caller string
}

func (j *job) chunkSpan(index uint32) storage.Span { return storage.ChunkSpan(j.o.Size(), index) }

// limit returns the silence that ends a call, in nanoseconds of the setting or
// of the caller's choice.
func (f *Filler) limit(silence int64) time.Duration {
	if silence > 0 {
		return time.Duration(silence)
	}
	return f.cfg.Silence
}

// ensure starts flights for what of span (relative to the chunk) is neither
// present nor on its way, and returns them with those that were joined. The
// caller follows all of them. It does not wait. ahead tells that nobody waits for
// them either.
func (f *Filler) ensure(j *job, chunk *disk.Chunk, span storage.Span, asOwner, ahead bool) (joined, started []*flight, err error) {
	joined, started, err = f.flights.cover(f.ctx, j, chunk, span, asOwner, ahead)
	f.metrics.joined.Add(float64(len(joined)))
	if err != nil {
		f.metrics.busy.WithLabelValues("flights").Inc()
	}
	for _, fl := range started {
		f.launch(fl, j)
	}
	return joined, started, err
}

// launch runs fl, detached from who asked for it.
func (f *Filler) launch(fl *flight, j *job) {
	gauge := f.metrics.flights.WithLabelValues(kindLabel(fl.asOwner))
	gauge.Inc()
	ended := func(err error) {
		gauge.Dec()
		if errors.Is(err, errAbandoned) {
			f.metrics.abandoned.Inc()
		}
		f.flights.end(fl, err)
		if fl.asOwner {
			f.untold(fl.key)
		}
	}
	if !f.detach(func() { ended(f.fly(fl, j)) }) {
		ended(errStopped)
	}
}

// fly is the one retry loop over sources.
func (f *Filler) fly(fl *flight, j *job) error {
	if err := context.Cause(fl.ctx); err != nil {
		return err
	}
	if f.dead(j.o) {
		return storage.ErrVersionGone // what is there may be read to its end
	}
	if fl.asOwner {
		return f.flyAsOwner(fl, j, nil)
	}
	return f.flyAsRequester(fl, j)
}

// flyAsRequester asks the acting owner, then its successors; when nobody else
// is left this node acts as owner itself.
func (f *Filler) flyAsRequester(fl *flight, j *job) error {
	s, err := f.openSink(f.ctx, fl.key, j.o.Version)
	if err != nil {
		return err
	}
	defer s.close()
	r := &route{f: f, id: j.o.ID, index: fl.key.Index, whole: j.o.Whole}
	deadline := f.cfg.Now().Add(f.cfg.Budget)
	troubles, idle, everywhere := 0, 0, false
	for {
		left := f.flights.left(fl, s.missing(fl.span))
		if fl.abandoned() {
			return context.Cause(fl.ctx)
		}
		if len(left) == 0 {
			if f.flights.turn(fl) {
				continue
			}
			return nil
		}
		node := r.next()
		if node == nil {
			if err := f.ownAfter(fl, j, r.passed); err != nil || !f.flights.turn(fl) {
				return err
			}
			continue
		}
		query := fl.tokens.next()
		stored, err := f.askFor(fl, j, s, r, node, left[0], query)
		if stored > 0 {
			deadline = f.cfg.Now().Add(f.cfg.Budget) // it waits anew from here
		}
		if err == nil && stored == 0 {
			// Another writer is at these blocks, or the answer was empty.
			if idle++; idle > 8 {
				err = fmt.Errorf("%w: answers without bytes", errTrouble)
			} else if !pause(fl.ctx, f.cfg.Heartbeat) {
				return context.Cause(fl.ctx)
			}
		}
		switch {
		case err == nil:
			continue // the next missing run, or the end
		case refused(err) && fl.tokens.refuse(query):
			continue // a joiner brought another token
		case fl.abandoned():
			return context.Cause(fl.ctx)
		case errors.Is(err, storage.ErrVersionGone) && !everywhere:
			everywhere = true // nodes that the owner does not know of may hold it
			f.takeAnywhere(fl, j, s)
			continue
		case final(err) || isLocal(err) || errors.Is(err, errFull):
			return err
		case errors.Is(err, errBroken):
			// The same node, over a new connection.
		case errors.Is(err, errSilent):
			r.pass(node.ID, peerv1.PassedOver_REASON_SILENT)
		case errors.Is(err, storage.ErrBusy) && f.cfg.Now().Before(deadline):
			// BUSY is waited out at the same owner: asking another would
			// fetch twice.
			if !pause(fl.ctx, f.cfg.Heartbeat) {
				return context.Cause(fl.ctx)
			}
		default:
			if !f.turnAway(r, node, err, &troubles) {
				return err
			}
		}
	}
}

func isLocal(err error) bool {
	_, ok := errors.AsType[*localError](err)
	return ok
}

// turnAway handles an answer that sends the requester on; false ends the flight.
func (f *Filler) turnAway(r *route, node *ring.Node, err error, troubles *int) bool {
	if elsewhere, ok := errors.AsType[*errNotOwner](err); ok {
		if elsewhere.whole != "" && elsewhere.whole != r.whole {
			r.whole = elsewhere.whole
			return true
		}
		if f.caughtUp(r, elsewhere) {
			return true // by the newer view, perhaps the same node
		}
		r.pass(node.ID, peerv1.PassedOver_REASON_NOT_OWNER)
		return true
	}
	r.pass(node.ID, peerv1.PassedOver_REASON_TROUBLE)
	*troubles++
	return *troubles <= 1 // at most one more candidate
}

// askFor asks node to FILL span of the flight's chunk, and returns how many
// bytes it stored.
func (f *Filler) askFor(fl *flight, j *job, s *sink, r *route, node *ring.Node, span storage.Span, query string) (int64, error) {
	ref := j.ref
	ref.Query = query
	base := j.chunkSpan(fl.key.Index).Off
	x := &exchange{f: f, node: node, sink: s, req: &peerv1.FillRequest{
		Mode: peerv1.FillRequest_MODE_FILL, Ref: refToProto(ref), Record: recordToProto(bare(f.vouch(j.o)), f.cfg.Now()),
		Offset: base + span.Off, End: base + span.End, Caller: f.self(),
		ViewDigest: r.digest, Epoch: epochToProto(r.epoch), PassedOver: r.passed,
		PurgeIndex: f.purges().Stamp().Index, Past: j.past || f.superseded(j.o),
	}}
	x.onRecord = func(o *storage.Object) (*sink, error) {
		// The owner saw another version: it goes on with ours as long as
		// anybody holds it, and new requests begin with the new one.
		f.cache.Publish(o)
		return nil, nil // no data follows it
	}
	sole := f.solely(fl.key, node)
	x.onSlow = func() { fl.slow.Store(true) }
	err := x.run(fl.ctx, ref, 0)
	f.metrics.fillBytes.WithLabelValues("peer").Add(float64(x.stored))
	f.gotFrom(node, fl.key, x.stored, sole)
	if errors.Is(err, storage.ErrVersionGone) {
		f.refute(j.o)
	}
	return x.stored, err
}

// gotFrom notes that node, asked as owner, gave stored bytes of a chunk: it
// holds them too; sole tells that it does all that was here before. Where by
// this node's view another acts for it, that one does not know of this copy.
func (f *Filler) gotFrom(node *ring.Node, key storage.ChunkKey, stored int64, sole bool) {
	if stored <= 0 {
		return
	}
	view := f.cfg.Placement.View()
	if i, ok := view.Acting(uint64(placeOf(key.Object, key.Index))); ok && nodeID(view, i) != node.ID {
		f.untold(key)
	}
	if sole {
		f.notes.Confirm(key, confirmedBy(node))
	}
}

// ownAfter fills the rest of fl as acting owner on this node, after the others
// were passed over, and waits for it.
func (f *Filler) ownAfter(fl *flight, j *job, passed []*peerv1.PassedOver) error {
	own := *j
	own.passed = passed
	if j.o.Whole != "" && j.o.Whole != f.self() {
		o := *j.o
		o.Whole = f.self()
		own.o = &o
	}
	ref := own.ref
	ref.Query = fl.tokens.next()
	own.ref = ref
	chunk, err := f.cfg.Store.Create(f.ctx, fl.key, own.o.Version)
	if err != nil {
		return err
	}
	defer chunk.Release()
	joined, started, err := f.ensure(&own, chunk, fl.span, true, false)
	for _, owned := range append(joined, started...) {
		select {
		case <-owned.done:
			fl.from.Store(owned.from.Load())
			if owned.err != nil && !errors.Is(owned.err, errAbandoned) {
				err = owned.err
			}
		case <-fl.ctx.Done():
			err = context.Cause(fl.ctx)
		}
		f.flights.leave(owned, f.little)
	}
	return err
}

// pause waits for d; false means that the node stops.
func (f *Filler) pause(d time.Duration) bool { return pause(f.ctx, d) }

// pause waits for d; false means that ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (f *Filler) self() string { return f.cfg.Placement.View().Self }

// refute notes that the origin contradicted o: until a newer registration the
// record answers nobody.
func (f *Filler) refute(o *storage.Object) {
	f.refuting.Lock()
	defer f.refuting.Unlock()
	if upTo, ok := f.refuted.Peek(o.ID); !ok || upTo < o.Registration {
		f.refuted.Add(o.ID, o.Registration)
	}
}

// isRefuted reports whether the origin was seen to contradict o.
func (f *Filler) isRefuted(o *storage.Object) bool {
	upTo, ok := f.refuted.Peek(o.ID)
	return ok && o.Registration <= upTo
}
