package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/faultorigin"
	"github.com/mccd/mccd/test/process/herd"
	"github.com/mccd/mccd/test/process/presence"
	"github.com/mccd/mccd/test/process/rows"
)

// ledger is what the origin had sent at one moment.
type ledger struct {
	sent, unique int64
}

func tally(entries []faultorigin.Entry) ledger {
	sent, unique := presence.Tally(entries)
	return ledger{sent, unique}
}

// again is what was sent more than once.
func (l ledger) again() int64 { return l.sent - l.unique }

// result is what the demo found.
type result struct {
	clients int
	content *catalogue
	herd    *herd.Result
	took    time.Duration
	served  [nodes]counts
	names   [nodes]string

	atKill, atReturn, atEnd ledger
	// The victim was killed, started again, and ready and known to all.
	killed, startedAgain, upAgain time.Time
	// before is what the victim had served when it was killed; alone is what
	// only it held then; open counts the flights that were open.
	before counts
	alone  int64
	open   int

	// failed are failures at living nodes, excused those at the killed one.
	failed, excused []herd.Failure
	want            int64
	back            backResult
	// repeats are the requests after the kill for bytes sent before.
	repeats []repeat
}

// backResult is what the node that came back gave afterwards.
type backResult struct {
	result *herd.Result
	served counts
	extra  int64
}

// finish computes what is left to compute. The caller holds st.mu or is alone.
func (r *result) finish(st *stage, h *herd.Result) {
	r.clients, r.content, r.herd, r.want = st.clients, st.content, h, st.want
	r.took, r.served = h.End.Sub(h.Begun), st.counts
	entries := st.origin.Ledger().Entries()
	r.atEnd, r.repeats = tally(entries), repeats(entries, r.killed)
	// What was asked for before the node was back is part of the kill's cost.
	r.atReturn = tally(slices.DeleteFunc(entries, func(e faultorigin.Entry) bool { return e.Began.After(r.upAgain) }))
	for i, n := range st.cluster.Nodes {
		r.names[i] = n.Name
	}
	addr := st.cluster.Nodes[victim].Addr
	for _, f := range h.Failures {
		if f.Addr == addr && f.At.After(r.killed) && (r.upAgain.IsZero() || f.At.Before(r.upAgain)) {
			r.excused = append(r.excused, f)
		} else {
			r.failed = append(r.failed, f)
		}
	}
	r.failed = append(r.failed, r.back.result.Failures...)
}

// repeat is a request for bytes that the origin had sent before, to first.
type repeat struct{ again, first faultorigin.Entry }

// repeats returns the requests begun after at that brought bytes which an
// earlier one had brought.
func repeats(entries []faultorigin.Entry, at time.Time) []repeat {
	var found []repeat
	sent := map[string][]faultorigin.Entry{}
	for _, e := range entries {
		overlaps := func(s storage.Span) bool { return s.Intersect(e.Asked).Len() > 0 }
		before := sent[e.Path]
		i := slices.IndexFunc(before, func(b faultorigin.Entry) bool { return slices.ContainsFunc(b.Sent, overlaps) })
		if i >= 0 && e.Began.After(at) {
			found = append(found, repeat{e, before[i]})
		}
		sent[e.Path] = append(before, e)
	}
	return found
}

// bound is what a kill may cost at the origin: what the killed node alone held
// and 1 MiB for each flight then open.
func (r *result) bound() int64 { return r.alone + int64(r.open)*mib }

// extra is what the origin sent a second time between the kill and the return,
// when the node was ready and known to all, extraAfter what it did from then on.
func (r *result) extra() int64      { return r.atReturn.again() - r.atKill.again() }
func (r *result) extraAfter() int64 { return r.atEnd.again() - r.atReturn.again() }

func (r *result) wrong() int { return len(r.herd.Wrong) + len(r.back.result.Wrong) }

// rows are the figures of out/demo.json.
func (r *result) rows() []rows.Row {
	round := func(what string) string {
		return fmt.Sprintf("%s, 1 round of %d clients at %d nodes", what, r.clients, nodes)
	}
	return []rows.Row{
		rows.New("served", float64(r.herd.Bytes), float64(r.want), round("bytes delivered / asked for")),
		rows.New("origin_vs_unique", float64(r.atKill.sent), float64(r.atKill.unique), round("bytes sent by the origin before the kill / different bytes of them")),
		rows.New("extra_after_kill", float64(r.extra()), float64(r.alone), round("bytes the origin sent again after the kill / bytes that the killed node alone held")),
		rows.New("extra_after_return", float64(r.extraAfter()), 0, round("bytes the origin sent again after the killed node was back")),
		rows.New("failed", float64(len(r.failed)), 0, round("requests failed at living nodes")),
		rows.New("wrong", float64(r.wrong()), 0, round("copies or pieces with a wrong SHA-256")),
		rows.New("origin_total", float64(r.atEnd.sent), float64(r.content.bytes), round("bytes sent by the origin / bytes of all files")),
		rows.New("origin_after_return", float64(r.back.extra), 0, round("bytes sent by the origin for all files read at the node that came back")),
		rows.New("seconds", r.took.Seconds(), 0, round("seconds for the herd")),
	}
}

// verdict is nil when every promise was kept.
func (r *result) verdict() error {
	switch unread := len(r.herd.Unread) + len(r.back.result.Unread); {
	case r.wrong() > 0:
		return fmt.Errorf("%w: %d copies are wrong, the first at %v", errBroken, r.wrong(), append(r.herd.Wrong, r.back.result.Wrong...)[0])
	case len(r.failed) > 0:
		return fmt.Errorf("%w: %d requests failed at living nodes, the first: %w", errBroken, len(r.failed), r.failed[0])
	case unread > 0:
		return fmt.Errorf("%w: %d spans were not read", errBroken, unread)
	}
	return nil
}
