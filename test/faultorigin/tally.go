package faultorigin

import (
	"cmp"
	"slices"

	"github.com/mccd/mccd/storage"
)

// stream names bytes that can be sent twice: those of one version of a path.
type stream struct{ path, version string }

func (l *Ledger) streams(path string) map[stream][]storage.Span {
	out := make(map[stream][]storage.Span)
	for _, e := range l.Requests(path) {
		k := stream{e.Path, e.Version}
		out[k] = append(out[k], e.Sent...)
	}
	return out
}

// Bytes returns how many bytes of path ("" = all paths) were sent, repeats
// counted.
func (l *Ledger) Bytes(path string) int64 { return sum(l.Requests(path)) }

// Union returns how many different bytes of path ("" = all paths) were sent;
// the same offset of two versions counts as two.
func (l *Ledger) Union(path string) int64 {
	var n int64
	for _, spans := range l.streams(path) {
		for _, s := range merge(spans) {
			n += s.Len()
		}
	}
	return n
}

// MaxTimes returns the largest number of times that any one byte of any one
// version of path ("" = all paths) was sent; 0 = none was.
func (l *Ledger) MaxTimes(path string) int {
	most := 0
	for _, spans := range l.streams(path) {
		most = max(most, depth(spans))
	}
	return most
}

// Coverage returns the bytes of path that were sent, of whatever version, as
// sorted spans that do not touch.
func (l *Ledger) Coverage(path string) []storage.Span {
	var all []storage.Span
	for _, spans := range l.streams(path) {
		all = append(all, spans...)
	}
	return merge(all)
}

// Asked returns the bytes of path that requests asked for, as Coverage.
func (l *Ledger) Asked(path string) []storage.Span {
	var all []storage.Span
	for _, e := range l.Requests(path) {
		all = append(all, e.Asked)
	}
	return merge(all)
}

func merge(spans []storage.Span) []storage.Span {
	spans = slices.DeleteFunc(slices.Clone(spans), storage.Span.Empty)
	slices.SortFunc(spans, func(a, b storage.Span) int { return cmp.Compare(a.Off, b.Off) })
	var out []storage.Span
	for _, s := range spans {
		if n := len(out); n > 0 && s.Off <= out[n-1].End {
			out[n-1].End = max(out[n-1].End, s.End)
			continue
		}
		out = append(out, s)
	}
	return out
}

// depth returns the largest number of spans that share a byte.
func depth(spans []storage.Span) int {
	type edge struct {
		at   int64
		step int
	}
	var edges []edge
	for _, s := range spans {
		if !s.Empty() {
			edges = append(edges, edge{s.Off, 1}, edge{s.End, -1})
		}
	}
	slices.SortFunc(edges, func(a, b edge) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.step, b.step))
	})
	now, most := 0, 0
	for _, e := range edges {
		now += e.step
		most = max(most, now)
	}
	return most
}
