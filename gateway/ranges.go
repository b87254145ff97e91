package gateway

import (
	"math"
	"net/http"
	"slices"
	"strings"

	"github.com/mccd/mccd/storage"
)

// maxRanges bounds the ranges of one request (RFC 9110 section 14.2 allows
// refusing many small ones).
const maxRanges = 16

// rangeKind says what a Range header asks for.
type rangeKind uint8

const (
	rangeNone       rangeKind = iota
	rangeOne                  // one readable range
	rangeMany                 // several ranges that do not overlap
	rangeTooMany              // more than maxRanges, or overlapping
	rangeUnreadable           // another unit, garbage, inverted
)

// wanted is a Range header as it was read, before the size is known.
type wanted struct {
	kind rangeKind
	// span has the meaning of storage.Request.First: a negative Off counts
	// from the end, End = MaxInt64 is the end. An empty span can be satisfied
	// by no object.
	span storage.Span
	// spans are all of them, of rangeMany; span is the first.
	spans []storage.Span
	// total is the object's length as the client's resume tells it, 0 = it does
	// not: Lite asks for bytes=<received>-<total-1> and for nothing else.
	total int64
}

// nothing returns the span that no object satisfies.
func nothing() storage.Span { return storage.Span{Off: math.MaxInt64, End: math.MaxInt64} }

// whole reports whether reading goes on to the object's end.
func (w wanted) whole() bool { return w.kind == rangeNone || w.span.End == math.MaxInt64 }

// readRange reads the Range of r. The last line counts: the Nth resume of
// Delivery Optimization Lite carries N lines, oldest first, and only the last
// is right (docs/clients.md section 2); where a proxy folded them into one, the
// last range of the line is taken for that client.
func readRange(r *http.Request) wanted {
	whole := wanted{span: storage.Span{End: math.MaxInt64}}
	lines := r.Header["Range"]
	if len(lines) == 0 || r.Method != http.MethodGet {
		return whole // RFC 9110 section 14.2: Range is defined for GET only
	}
	resumes := lite(r)
	want := parseRange(lines[len(lines)-1], resumes)
	if resumes && want.kind == rangeOne && want.span.Off >= 0 && want.span.End != math.MaxInt64 {
		want.total = want.span.End
	}
	return want
}

// lite reports whether r is of Delivery Optimization Lite.
func lite(r *http.Request) bool {
	agent := r.Header["User-Agent"]
	return len(agent) > 0 && strings.HasPrefix(agent[0], "Microsoft-Delivery-Optimization-Lite/")
}

// parseRange reads one Range header value by RFC 9110 section 14.1.2. With
// lastOnly the last of several ranges stands for all.
func parseRange(value string, lastOnly bool) wanted {
	unit, set, ok := strings.Cut(value, "=")
	if !ok || !strings.EqualFold(strings.Trim(unit, " \t"), "bytes") {
		return wanted{kind: rangeUnreadable}
	}
	if lastOnly {
		set = set[strings.LastIndexByte(set, ',')+1:]
		// A folded header may repeat the unit: "bytes=0-9, bytes=5-9".
		if _, last, ok := strings.Cut(set, "="); ok {
			set = last
		}
	}
	var spans [maxRanges]storage.Span
	n := 0
	for part, more := "", true; more; {
		part, set, more = strings.Cut(set, ",")
		part = strings.Trim(part, " \t")
		if part == "" {
			continue // RFC 9110 section 5.6.1: empty list elements are skipped
		}
		span, ok := parseSpan(part)
		if !ok {
			return wanted{kind: rangeUnreadable}
		}
		if n == maxRanges {
			return wanted{kind: rangeTooMany}
		}
		spans[n] = span
		n++
	}
	switch {
	case n == 0:
		return wanted{kind: rangeUnreadable}
	case n == 1:
		return wanted{kind: rangeOne, span: spans[0]}
	case overlap(spans[:n]):
		return wanted{kind: rangeTooMany}
	default:
		return wanted{kind: rangeMany, span: spans[0], spans: slices.Clone(spans[:n])}
	}
}

// overlap reports whether any two of spans certainly share a byte. Ranges from
// the end overlap each other; against others that depends on the size, and is
// judged when that is known (resolveAll).
func overlap(spans []storage.Span) bool {
	for i, a := range spans {
		for _, b := range spans[:i] {
			if a.Off < 0 && b.Off < 0 || a.Off >= 0 && b.Off >= 0 && !a.Intersect(b).Empty() {
				return true
			}
		}
	}
	return false
}

// parseSpan reads "a-b", "a-" or "-n".
func parseSpan(s string) (storage.Span, bool) {
	first, last, ok := strings.Cut(s, "-")
	if !ok {
		return storage.Span{}, false
	}
	if first == "" {
		n, ok := parseOffset(last)
		if n == 0 {
			return nothing(), ok // the last 0 bytes
		}
		return storage.Span{Off: -n, End: math.MaxInt64}, ok
	}
	off, ok := parseOffset(first)
	if !ok {
		return storage.Span{}, false
	}
	if last == "" {
		return storage.Span{Off: off, End: math.MaxInt64}, true
	}
	end, ok := parseOffset(last)
	if !ok || end < off || !ordered(first, last) {
		return storage.Span{}, false
	}
	if off == math.MaxInt64 {
		return nothing(), true
	}
	if end < math.MaxInt64 {
		end++
	}
	return storage.Span{Off: off, End: end}, true
}

// parseOffset reads decimal digits; what exceeds an int64 counts as its
// greatest value, which no object reaches.
func parseOffset(s string) (int64, bool) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n := int64(0)
	for i := range len(s) {
		digit := int64(s[i] - '0')
		if n > (math.MaxInt64-digit)/10 {
			return math.MaxInt64, true
		}
		n = n*10 + digit
	}
	return n, true
}

// ordered reports whether the digits of first are no greater than those of
// last, also beyond an int64.
func ordered(first, last string) bool {
	first, last = strings.TrimLeft(first, "0"), strings.TrimLeft(last, "0")
	if len(first) != len(last) {
		return len(first) < len(last)
	}
	return first <= last
}

// resolve returns the bytes of an object of the given size that span asks for;
// false if there are none.
func resolve(span storage.Span, size int64) (storage.Span, bool) {
	if span.Off < 0 {
		span = storage.Span{Off: max(0, size+span.Off), End: size}
	}
	span.End = min(span.End, size)
	return span, !span.Empty()
}

// resolveAll returns the parts of an object of the given size that spans ask
// for, in their order, without those that ask for none of its bytes; false if
// two of them overlap.
func resolveAll(spans []storage.Span, size int64) ([]storage.Span, bool) {
	parts := make([]storage.Span, 0, len(spans))
	for _, span := range spans {
		if part, ok := resolve(span, size); ok {
			parts = append(parts, part)
		}
	}
	return parts, !overlap(parts)
}
