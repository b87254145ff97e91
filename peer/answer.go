package peer

import (
	"time"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/origin"
)

// newVersion takes an answer that carries another version than the flight's:
// its bytes go into that version's files, and the object's home is told.
func (f *Filler) newVersion(j *job, resp *origin.Response) {
	o, _, err := f.accept(j.ref, j.rule, resp, false)
	if err != nil {
		f.refute(j.o)
		return
	}
	own := *o
	own.Registration = j.o.Registration + 1
	f.cache.Publish(&own)
	f.detach(func() {
		hs, err := f.openHome(f.ctx, question{ref: j.ref, rule: j.rule, stale: j.o, refuted: j.o.Version.ID(), always: j.rule != nil && j.rule.RevalidateAlways(j.ref.Path)})
		if err != nil {
			f.logger.Warn("changed version is not registered", "host", o.Host, "error", err)
			return
		}
		defer hs.close()
		if known := hs.grant().Record; known != nil {
			f.cache.Publish(known) // another node has told the home already
			return
		}
		if o := hs.register(o); o != nil {
			f.cache.Publish(o)
		}
	})
}

// accept makes the origin's answer an object of this node: its bytes are on
// their way into the chunk files when it returns, by a flight where they lie in
// one chunk. flaps tells that the object had that version before the one that is
// taken for current: such answers are not joined.
func (f *Filler) accept(ref storage.Ref, rule *storage.Rule, resp *origin.Response, flaps bool) (*storage.Object, *flight, error) {
	o := resp.Object
	if o.Size() < 0 {
		_ = resp.Body.Close()
		return nil, nil, storage.ErrLength
	}
	if !resp.Cacheable {
		if rule.Profile == storage.ProfileHTTP {
			_ = resp.Body.Close()
			return nil, nil, storage.ErrUncacheable
		}
		o.FreshFor = 0 // profile do: kept, never served without asking
	}
	all := storage.Span{End: o.Size()}
	var fl *flight
	switch {
	case resp.Span == all || resp.RangeIgnored:
		if resp.RangeIgnored || !o.Version.Strong() {
			o.Whole = f.self()
		}
		if resp.Span.Len() <= storage.ChunkSize {
			fl = f.startFlight(&job{o: &o, ref: ref, rule: rule}, resp)
		} else {
			f.startWhole(&o, resp)
		}
	case !o.Version.Strong():
		_ = resp.Body.Close()
		whole, err := f.acceptWhole(ref, rule)
		return whole, nil, err
	case flaps:
		whole, err := f.acceptFlapping(ref, rule, resp)
		return whole, nil, err
	default:
		fl = f.startFlight(&job{o: &o, ref: ref, rule: rule}, resp)
	}
	return &o, fl, nil
}

// acceptWhole asks again without a range, since answers of this origin cannot
// be joined.
func (f *Filler) acceptWhole(ref storage.Ref, rule *storage.Rule) (*storage.Object, error) {
	resp, err := f.request(origin.Request{Ref: ref, Rule: rule, Whole: true}, nil)
	if err != nil {
		return nil, err
	}
	o := resp.Object
	if o.Size() < 0 {
		_ = resp.Body.Close()
		return nil, storage.ErrLength
	}
	if !resp.Cacheable {
		if rule.Profile == storage.ProfileHTTP {
			_ = resp.Body.Close()
			return nil, storage.ErrUncacheable
		}
		o.FreshFor = 0
	}
	o.Whole = f.self()
	f.startWhole(&o, resp)
	return &o, nil
}

// startFlight lets resp fill its span, which lies in one chunk. The flight is
// in the table when it returns, so that those who learn of the object join it;
// nil for no bytes.
func (f *Filler) startFlight(j *job, resp *origin.Response) *flight {
	if resp.Span.Empty() {
		_ = resp.Body.Close()
		return nil
	}
	index := storage.ChunkOf(resp.Span.Off)
	base := int64(index) * storage.ChunkSize
	fl := newFlight(f.ctx, j, index, resp.Span.Shift(-base), true)
	fl.sent.Store(true)
	f.flights.add(fl)
	f.metrics.flights.WithLabelValues("owner").Inc()
	ended := func(err error) {
		f.metrics.flights.WithLabelValues("owner").Dec()
		f.flights.end(fl, err)
		f.untold(fl.key)
	}
	if !f.detach(func() { ended(f.storeSpan(fl, j, resp)) }) {
		_ = resp.Body.Close()
		ended(errStopped)
	}
	f.flights.leave(fl, f.little) // who asked follows it within a moment
	return fl
}

// storeSpan writes resp into the flight's chunk; where it breaks off, the rest is filled as any other flight.
func (f *Filler) storeSpan(fl *flight, j *job, resp *origin.Response) error {
	s, err := f.openSink(f.ctx, fl.key, j.o.Version)
	if err != nil {
		_ = resp.Body.Close()
		return err
	}
	if j.o.Whole == "" {
		s.early = &fl.early
	}
	began := time.Now()
	n, err := s.copyFrom(resp.Body, fl.span)
	s.close()
	_ = resp.Body.Close()
	f.fromOrigin(j.o.Host, n, time.Since(began))
	if err == nil && f.flights.turn(fl) || err != nil && (n > 0 || passing(err)) && j.o.Whole == "" {
		return f.flyAsOwner(fl, j, err)
	}
	return err
}
