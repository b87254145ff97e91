package peer

import (
	"errors"
	"net/http"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/httpcache"
	"github.com/mccd/mccd/storage/origin"
)

// askAsOwner answers q as acting owner of the first wanted chunk: from the
// home's record, or, under the home's lease, from the origin. The one ranged
// GET brings the version and the first wanted bytes.
func (f *Filler) askAsOwner(q question) (*storage.Object, error) {
	if o := f.arriving(&q); o != nil {
		return o, nil
	}
	hs, err := f.openHome(f.ctx, q)
	if err != nil {
		return nil, err
	}
	defer hs.close()
	grant := hs.grant()
	if grant.Record != nil {
		return f.publish(grant.Record)
	}
	if grant.Stale != nil && (q.stale == nil || grant.Stale.Registration > q.stale.Registration) {
		q.stale = grant.Stale
	}
	replaced := uint64(0)
	if q.stale != nil {
		replaced = q.stale.Registration
	}
	defer f.asking.begin(q.ref.ID(), storage.ChunkOf(q.span().Off))()
	o, err := f.askOrigin(q)
	if err != nil {
		if final(err) && !refused(err) {
			hs.fail(err)
		} // else the next who waits asks: this node's trouble and a refused token are not the object's state
		return nil, err
	}
	if o.Registration < replaced { // the home may know less than this node does
		own := *o
		own.Registration = replaced
		o = &own
	}
	return f.publish(hs.register(o))
}

// arriving returns the object that this node fills whole at this moment, nil for
// none: its answer was in progress when q was asked, so that q need not be
// asked, also where the answer says nothing of how long it is fresh. Asking again
// would fetch it all again, where nothing tells versions apart.
func (f *Filler) arriving(q *question) *storage.Object {
	o := f.cache.Record(q.ref.ID())
	if o == nil || o.Whole != f.self() || f.isRefuted(o) || o.Version.ID() == q.refuted ||
		q.stale != nil && q.stale.Registration > o.Registration {
		return nil
	}
	if cc := httpcache.ParseCacheControl(o.Header["Cache-Control"]); cc.NoCache || cc.NoStore || cc.MustRevalidate {
		return nil
	}
	if f.wholes.at(keyOfWhole(o)) == nil && f.flights.sentAt(o.Key(0), 0) == nil {
		return nil
	}
	return o
}

// askOrigin asks the origin for the version and the first wanted bytes; where
// some of the bytes are here or on their way already, only whether the version is
// still current.
func (f *Filler) askOrigin(q question) (*storage.Object, error) {
	req := origin.Request{Ref: q.ref, Rule: q.rule, Span: cut(q.span(), f.paces.request(q.ref.Host))}
	if q.stale != nil {
		q.stale = f.judge(q.stale, false) // a condition on what was purged would bring it back
	}
	if o := q.stale; o != nil && o.Version.ID() != q.refuted && (q.recordOnly || f.holds(o, q.span()) || f.brings(o, req.Span)) {
		req.Revalidate, req.Known = &o.Version, o.Header
	}
	resp, err := f.request(req, q.stale)
	if status, ok := errors.AsType[*storage.StatusError](err); ok && status.Code == http.StatusRequestedRangeNotSatisfiable {
		// The object ends before the wanted range: learn it by its beginning,
		// whole if it is empty or small.
		req.Span, req.Revalidate, req.Known = storage.Span{End: storage.PieceSize}, nil, nil
		resp, err = f.request(req, q.stale)
		if status, ok := errors.AsType[*storage.StatusError](err); ok && status.Code == http.StatusRequestedRangeNotSatisfiable {
			req.Whole = true
			resp, err = f.request(req, q.stale)
		}
	}
	if err != nil {
		return nil, err
	}
	if !resp.NotModified {
		flaps := q.flaps(resp.Object.Version.ID(), f.cfg.Now())
		if flaps && q.staysWhole() {
			_ = resp.Body.Close()
			o := *q.stale
			o.ValidatedAt, o.FreshFor = resp.Object.ValidatedAt, flapFresh
			return &o, nil
		}
		o, fl, err := f.accept(q.ref, q.rule, resp, flaps)
		q.bring(fl)
		return o, err
	}
	// The version is current: the record keeps what the first answer said,
	// with the headers and the freshness of this one (RFC 9111 section 4.3.4).
	o := *q.stale
	o.Header = resp.Object.Header
	o.ValidatedAt, o.FreshFor = resp.Object.ValidatedAt, resp.Object.FreshFor
	return &o, nil
}
