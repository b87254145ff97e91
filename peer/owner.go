package peer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/origin"
)

// originTries bounds how often an answer of the origin to one flight may break
// off, barrenTries how often in a row it may without having brought a block.
const originTries, barrenTries = 16, 3

// flyAsOwner fills fl as the chunk's acting owner: from other nodes that hold
// the bytes, then from the origin. last is the error with which an answer of the
// origin broke off before, nil for none.
func (f *Filler) flyAsOwner(fl *flight, j *job, last error) error {
	s, err := f.openSink(f.ctx, fl.key, j.o.Version)
	if err != nil {
		return err
	}
	defer s.close()
	s.early = &fl.early
	asked := fl.span.End
	for tries, barren := 0, 0; tries < originTries && barren < barrenTries; {
		if j.caller != "" && fl.span.End > asked {
			own := *j
			own.caller = "" // it asked for the first turn: what comes after it may hold
			j = &own
		}
		fl.sent.Store(false) // it may wait for others' flights now
		j = f.registered(j)
		f.takeHeld(fl, j, s)
		if len(f.flights.left(fl, s.missing(fl.span))) == 0 && !fl.abandoned() {
			if last != nil {
				fl.from.Store(uint32(storage.SourceOrigin)) // most of it
			}
			if f.flights.turn(fl) {
				continue
			}
			return nil
		}
		if j.past || f.superseded(j.o) || f.dead(j.o) {
			if over, err := f.flyPast(fl, j, s); over {
				return err
			}
			continue
		}
		fl.from.Store(uint32(storage.SourceOrigin))
		fl.sent.Store(true)
		if j.o.Whole != "" {
			return f.fillWhole(fl, j, s)
		}
		n, more, err := f.fetchAll(fl, j, s)
		switch {
		case errors.Is(err, errEdges):
			return f.settle(fl, j, s)
		case errors.Is(err, storage.ErrVersionGone):
			if over, err := f.flyPast(fl, j, s); over {
				return err
			}
			last, tries, barren = nil, 0, 0
		case more && n > 0:
			last, tries, barren = err, tries+1, 0
		case more:
			if last, tries, barren = err, tries+1, barren+1; !pause(fl.ctx, firstAgain/2) {
				return context.Cause(fl.ctx)
			}
		case err != nil || !f.flights.turn(fl):
			return err
		default:
			last, tries, barren = nil, 0, 0
		}
	}
	return last
}

// fetchAll gets what is missing of fl from the origin, by requests for what
// comes within about a second, so that bytes that are wanted before can be asked
// for before, and little comes that nobody wants any more. It returns how many
// bytes came; more tells that it broke off on the way and another try is worth
// it: what broke off here others may have by then.
func (f *Filler) fetchAll(fl *flight, j *job, s *sink) (total int64, more bool, err error) {
	var got []storage.Span
	for {
		missing := s.missing(fl.span)
		for _, g := range got {
			missing = subtract(missing, g) // another writer is at some blocks of it
		}
		span, err := f.flights.claim(fl, missing, f.paces.request(fl.host))
		if err != nil || span.Empty() {
			return total, false, err
		}
		n, answered, err := f.fetch(fl, j, s, span)
		total += n
		if err != nil {
			_, refusal := errors.AsType[*storage.StatusError](err)
			worth := (total > 0 || answered && passing(err)) && !refusal && !errors.Is(err, storage.ErrVersionGone)
			return total, worth && f.ctx.Err() == nil, err
		}
		got = append(got, span)
	}
}

// registered returns j with the object's record as the home has registered it by
// now, if j's is from before: a newer version is told from it by its number.
func (f *Filler) registered(j *job) *job {
	if j.o.Registration != 0 {
		return j
	}
	now := f.cache.Record(j.o.ID)
	if now == nil || now.Registration == 0 || now.Version.ID() != j.o.Version.ID() {
		return j
	}
	own := *j
	own.o = now
	return &own
}

// superseded reports whether this node knows a newer version than o: the
// origin would answer with that one.
func (f *Filler) superseded(o *storage.Object) bool {
	now := f.cache.Record(o.ID)
	return o.Registration != 0 && now != nil && now.Version.ID() != o.Version.ID() && now.Registration > o.Registration
}

// fetch gets span of fl's chunk from the origin, and returns how many bytes
// came; answered tells that there was an answer. What is refused with one token
// is asked for with the others that joiners brought.
func (f *Filler) fetch(fl *flight, j *job, s *sink, span storage.Span) (n int64, answered bool, err error) {
	cs := j.chunkSpan(fl.key.Index)
	for {
		query := fl.tokens.next()
		ref := j.ref
		ref.Query = query
		resp, err := f.request(origin.Request{Ref: ref, Rule: j.rule, Span: span.Shift(cs.Off), Unwanted: fl.ctx.Done()}, j.o)
		if refused(err) && fl.tokens.refuse(query) {
			continue
		}
		if errors.Is(err, origin.ErrUnwanted) {
			return 0, false, errAbandoned
		}
		if err != nil {
			return 0, false, f.fetchFailed(j, err)
		}
		fl.tokens.worked(query)
		n, err := f.takeAnswer(j, s, resp, span.Shift(cs.Off))
		return n, true, err
	}
}

// request asks the origin. It asks again where a trouble may have passed
// (askAgain), and once where the origin confirmed a version that was not asked
// about. An answer with bytes bears the stamp of the purges in force when it was
// asked for; was is the record that the asker goes by, nil for none.
func (f *Filler) request(req origin.Request, was *storage.Object) (*origin.Response, error) {
	began := time.Now()
	for try := 1; ; try++ {
		purges := f.purges()
		resp, err := f.cfg.Origin.Fetch(f.ctx, req)
		if err == nil && !resp.NotModified {
			f.mark(&resp.Object, purges, req.Ref, was)
		}
		switch {
		case errors.Is(err, storage.ErrBusy):
			f.metrics.busy.WithLabelValues("origin").Inc()
			return nil, fmt.Errorf("%w: %w", errFull, err)
		case errors.Is(err, origin.ErrMismatch) && req.Revalidate != nil:
			req.Revalidate = nil
		case !f.askAgain(&req, try, began, err):
			return resp, err
		}
	}
}

// fetchFailed says what an origin's refusal means for the version in hand.
func (f *Filler) fetchFailed(j *job, err error) error {
	if status, ok := errors.AsType[*storage.StatusError](err); ok {
		switch status.Code {
		case http.StatusRequestedRangeNotSatisfiable, http.StatusNotFound, http.StatusGone:
			f.refute(j.o)
		}
	}
	return err
}

// refused reports whether the origin refused the token, not the object.
func refused(err error) bool {
	status, ok := errors.AsType[*storage.StatusError](err)
	return ok && (status.Code == http.StatusUnauthorized || status.Code == http.StatusForbidden)
}

// takeAnswer stores the origin's answer for the object's bytes want, of which
// it returns how many came. An answer with another version goes into that
// version's file.
func (f *Filler) takeAnswer(j *job, s *sink, resp *origin.Response, want storage.Span) (int64, error) {
	if v := resp.Object.Version.ID(); v != j.o.Version.ID() {
		if resp.Object.Version.Strong() && !resp.RangeIgnored && resp.Span.Len() < resp.Object.Size() && f.cameBack(j, v) {
			_ = resp.Body.Close()
			return 0, errEdges
		}
		f.newVersion(j, resp)
		return 0, storage.ErrVersionGone
	}
	if resp.RangeIgnored {
		// The origin gave up on ranges: its answer is the object once.
		return 0, f.adoptWhole(j, resp)
	}
	defer func() { _ = resp.Body.Close() }()
	got := resp.Span.Intersect(want)
	if got.Off != want.Off {
		return 0, fmt.Errorf("%w: answered %s for %s", storage.ErrUpstream, resp.Span, want)
	}
	base := int64(s.key.Index) * storage.ChunkSize
	began := time.Now()
	n, err := s.copyFrom(resp.Body, got.Shift(-base))
	f.fromOrigin(j.o.Host, n, time.Since(began))
	if err == nil && got.End < want.End {
		err = fmt.Errorf("%w: answered %s for %s", storage.ErrUpstream, resp.Span, want)
	}
	return n, err
}

// fromOrigin counts n bytes that came from host in one answer and took so long.
func (f *Filler) fromOrigin(host string, n int64, took time.Duration) {
	f.originBytes.Add(n)
	f.metrics.fillBytes.WithLabelValues("origin").Add(float64(n))
	f.paces.saw(host, n, took)
}
