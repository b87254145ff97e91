package peer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mccd/mccd/peer/holders"
	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/disk"
	"github.com/mccd/mccd/storage/httpcache"
	"github.com/mccd/mccd/storage/origin"
)

// flyPast goes on with fl when the origin has another version by now, or a purge
// has killed this one: by what is on its way, and by what any live node holds.
// over = false: it did, and has a next turn.
func (f *Filler) flyPast(fl *flight, j *job, s *sink) (over bool, err error) {
	if w := f.wholes.at(keyOfWhole(j.o)); w != nil {
		fl.from.Store(uint32(storage.SourceOrigin))
		fl.sent.Store(true)
		return true, f.untilPresent(fl, j, w) // its one answer is on its way
	}
	if fl.abandoned() {
		return true, context.Cause(fl.ctx)
	}
	fl.sent.Store(false)
	f.takeAnywhere(fl, j, s)
	if fl.abandoned() {
		return true, context.Cause(fl.ctx)
	}
	if len(f.flights.left(fl, s.missing(fl.span))) > 0 {
		return true, storage.ErrVersionGone
	}
	return !f.flights.turn(fl), nil
}

// takeAnywhere fills what it can of fl from all live nodes, known holders or
// not: nobody else has it any more.
func (f *Filler) takeAnywhere(fl *flight, j *job, s *sink) {
	missing := s.missing(fl.span)
	if len(missing) == 0 || f.dead(j.o) {
		return
	}
	_, ask := f.whomToAsk(f.see(), j, fl.key.Index, &holders.Finding{})
	held := f.probe(j, fl.key.Index, missing, ask)
	for i, node := range ask {
		if err := f.takeSpans(fl, j, s, node, held[i]); err != nil && !errors.Is(err, disk.ErrNotHeld) {
			f.logger.Debug("earlier version is not taken", "node", node.ID, "chunk", fl.key.String(), "error", err)
		}
	}
}

// errEdges: the origin answers now with one version and now with another.
var errEdges = fmt.Errorf("edges of the origin disagree: %w", storage.ErrVersionGone)

// flapFresh is for how long, at least, a version counts of an object on which
// the edges of its origin disagree: else each request would fetch it anew.
const flapFresh = 10 * time.Second

// cameBack reports whether v, which an answer has in place of j's version, is
// one that the object had a moment ago.
func (f *Filler) cameBack(j *job, v storage.VersionID) bool {
	now := f.cfg.Now()
	if j.o.Had(v, now) {
		return true
	}
	known := f.cache.Record(j.o.ID)
	return known != nil && known.Had(v, now)
}

// flaps is cameBack for the answer to a question.
func (q *question) flaps(v storage.VersionID, now time.Time) bool {
	return q.stale != nil && (q.stale.Had(v, now) || v == q.refuted && q.stale.Changed(now))
}

// staysWhole reports whether the version in hand, which was fetched whole since
// edges disagree, stays for a while although another edge has answered now.
func (q *question) staysWhole() bool {
	return q.stale.Whole != "" && q.stale.Version.ID() != q.refuted && mayWait(q.stale, q.rule)
}

// mayWait reports whether o may count for a moment although its origin has not
// just confirmed it.
func mayWait(o *storage.Object, rule *storage.Rule) bool {
	cc := httpcache.ParseCacheControl(o.Header["Cache-Control"])
	return !cc.NoCache && !cc.NoStore && !cc.MustRevalidate && !rule.RevalidateAlways(o.Path)
}

// settle ends the flight of a version that the origin gave a moment ago, and
// now another that it had before: separate answers cannot be joined, so the
// object is filled whole from one, once for the cluster. The flight goes on if
// that is of its version.
func (f *Filler) settle(fl *flight, j *job, s *sink) error {
	fl.sent.Store(false)
	stale := j.o
	if known := f.cache.Record(j.o.ID); known != nil && known.Version.ID() == j.o.Version.ID() {
		stale = known
	}
	ref := j.ref
	ref.Query = fl.tokens.next()
	o, err := f.resolve(f.ctx, question{
		ref: ref, rule: j.rule, first: fl.span.Shift(j.chunkSpan(fl.key.Index).Off), stale: stale,
		refuted: j.o.Version.ID(), always: j.rule.RevalidateAlways(ref.Path), asOwner: true, passed: j.passed, caller: j.caller,
	})
	if err != nil {
		return err
	}
	own := *j
	own.o = o
	switch {
	case o.Version.ID() != j.o.Version.ID():
		_, err := f.flyPast(fl, j, s)
		return err
	case o.Whole == f.self():
		fl.sent.Store(true)
		for err = f.fillWhole(fl, &own, s); err == nil && f.flights.turn(fl); {
			err = f.fillWhole(fl, &own, s)
		}
		return err
	case o.Whole != "":
		return f.takeWhole(fl, &own, s)
	default:
		return errAbandoned // it is confirmed: who waits asks again
	}
}

// takeWhole fills fl, which acts as owner, from the node that fills its object
// whole. It never acts in that node's place: that would be to wait for itself.
func (f *Filler) takeWhole(fl *flight, j *job, s *sink) error {
	for barren := 0; barren < originTries; {
		left := f.flights.left(fl, s.missing(fl.span))
		r := &route{f: f, id: j.o.ID, index: fl.key.Index, whole: j.o.Whole}
		node := r.next()
		switch {
		case fl.abandoned():
			return context.Cause(fl.ctx)
		case len(left) == 0:
			if !f.flights.turn(fl) {
				return nil
			}
			continue
		case node == nil || node.ID != j.o.Whole:
			_, err := f.flyPast(fl, j, s)
			return err
		}
		stored, err := f.askFor(fl, j, s, r, node, left[0], fl.tokens.next())
		if stored > 0 {
			barren = 0
			continue
		}
		if err != nil && final(err) {
			return err
		}
		if barren++; !pause(fl.ctx, f.cfg.Heartbeat) {
			return context.Cause(fl.ctx)
		}
	}
	return errTrouble
}

// acceptFlapping is acceptWhole for an object on whose version the edges of its
// origin disagree.
func (f *Filler) acceptFlapping(ref storage.Ref, rule *storage.Rule, resp *origin.Response) (*storage.Object, error) {
	_ = resp.Body.Close()
	f.logger.Warn("edges of an origin disagree on an object's version, it is fetched whole", "host", ref.Host)
	f.metrics.flapping.Inc()
	o, err := f.acceptWhole(ref, rule)
	if err != nil {
		return nil, err
	}
	if mayWait(o, rule) {
		o.FreshFor = max(o.FreshFor, flapFresh)
	}
	return o, nil
}
