package presence

import (
	"cmp"
	"slices"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/faultorigin"
)

// Open returns those of the origin's requests whose flights were open when a
// fault struck while the drives held u: the origin had not sent all, or not
// all that it had sent was on a drive. before and after are the ledger's
// entries just before the fault and just after it, when nothing could be
// stored any more.
func Open(before, after []faultorigin.Entry, u Union) []faultorigin.Entry {
	sending := map[int]bool{}
	for _, e := range before {
		if !e.Done {
			sending[e.N] = true
		}
	}
	var open []faultorigin.Entry
	for _, e := range after {
		object := storage.Ref{Scheme: "http", Host: e.Host, Path: e.Path}.ID()
		lost := func(sent storage.Span) bool { return !u.Holds(object, sent) }
		if sending[e.N] || !e.Done || slices.ContainsFunc(e.Sent, lost) {
			open = append(open, e)
		}
	}
	return open
}

// Tally returns how many bytes entries say were sent, and how many of them
// were different ones.
func Tally(entries []faultorigin.Entry) (sent, unique int64) {
	type stream struct{ host, path, version string }
	spans := map[stream][]storage.Span{}
	for _, e := range entries {
		sent += e.Bytes()
		at := stream{e.Host, e.Path, e.Version}
		spans[at] = append(spans[at], e.Sent...)
	}
	for _, list := range spans {
		slices.SortFunc(list, func(a, b storage.Span) int { return cmp.Compare(a.Off, b.Off) })
		end := int64(0)
		for _, s := range list {
			unique += max(0, s.End-max(s.Off, end))
			end = max(end, s.End)
		}
	}
	return sent, unique
}
