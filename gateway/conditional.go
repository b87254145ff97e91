package gateway

import (
	"math"
	"net/http"
	"net/textproto"
	"strings"
	"time"

	"github.com/mccd/mccd/storage"
)

// decision is the answer to a request whose object is known.
type decision struct {
	// status is 200, 206, 304, 412, 416 or 503.
	status int
	// span are the object's bytes that the answer holds, or the first of its
	// parts.
	span storage.Span
	// parts are the parts of a multipart answer, at least two; else nil.
	parts []storage.Span
	// widened tells that the whole object is sent although a range was asked.
	widened bool
}

// decide evaluates the preconditions in the order of RFC 9110 section 13.2.2,
// then the range. ProfileDO never answers 412 or 416, whose ban lasts 15
// minutes, and never 200 to a valid Range (docs/clients.md sections 4 and 5).
func decide(r *http.Request, profile storage.Profile, obj *storage.Object, want wanted) decision {
	failed, unsatisfiable := http.StatusPreconditionFailed, http.StatusRequestedRangeNotSatisfiable
	if profile == storage.ProfileDO {
		failed, unsatisfiable = http.StatusServiceUnavailable, http.StatusServiceUnavailable
	}
	switch precondition(r.Header, obj) {
	case http.StatusPreconditionFailed:
		return decision{status: failed}
	case http.StatusNotModified:
		return decision{status: http.StatusNotModified}
	}
	size := obj.Size()
	all := decision{status: http.StatusOK, span: storage.Span{End: size}}
	whole := profile == storage.ProfileHTTP && (size == 0 || !ifRange(r.Header, obj))
	switch {
	case want.kind == rangeNone:
		return all
	case want.kind == rangeUnreadable && profile == storage.ProfileHTTP:
		return all // RFC 9110 section 14.2: as if there were none
	case whole:
		all.widened = true
		return all
	case !ifRange(r.Header, obj):
		// Profile do: neither 200 nor another version's bytes may answer it.
		return decision{status: failed}
	}
	switch want.kind {
	case rangeOne:
		if span, ok := resolve(want.span, size); ok {
			return decision{status: http.StatusPartialContent, span: span}
		}
	case rangeMany:
		parts, ok := resolveAll(want.spans, size)
		switch {
		case !ok || len(parts) == 0 || profile == storage.ProfileDO:
		case len(parts) == 1:
			return decision{status: http.StatusPartialContent, span: parts[0]}
		default:
			return decision{status: http.StatusPartialContent, span: parts[0], parts: parts}
		}
	case rangeNone, rangeTooMany, rangeUnreadable:
	}
	return decision{status: unsatisfiable}
}

// conditional reports whether r carries a precondition.
func conditional(h http.Header) bool {
	for _, name := range [...]string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range"} {
		if len(h[name]) > 0 {
			return true
		}
	}
	return false
}

// precondition returns 412, 304, or 0 to go on.
func precondition(h http.Header, obj *storage.Object) int {
	if h.Get("If-Match") != "" || len(h["If-Match"]) > 1 {
		if !matches(h["If-Match"], etagOf(obj), strongEqual) {
			return http.StatusPreconditionFailed
		}
	} else if since, ok := dateOf(h, "If-Unmodified-Since"); ok {
		if modified, ok := modifiedAt(obj); ok && modified.After(since) {
			return http.StatusPreconditionFailed
		}
	}
	if h.Get("If-None-Match") != "" || len(h["If-None-Match"]) > 1 {
		if matches(h["If-None-Match"], etagOf(obj), weakEqual) {
			return http.StatusNotModified
		}
	} else if since, ok := dateOf(h, "If-Modified-Since"); ok {
		if modified, ok := modifiedAt(obj); ok && !modified.After(since) {
			return http.StatusNotModified
		}
	}
	return 0
}

// ifRange reports whether Range counts: no If-Range, or one that names this
// very version by a strong validator (RFC 9110 section 13.1.5). A date counts
// only if the object is told by its Last-Modified.
func ifRange(h http.Header, obj *storage.Object) bool {
	value := h.Get("If-Range")
	if value == "" {
		return true
	}
	if tag, rest, ok := readETag(value); ok {
		return rest == "" && strongEqual(tag, etagOf(obj))
	}
	at, err := http.ParseTime(value)
	modified, ok := modifiedAt(obj)
	return err == nil && ok && obj.Version.Kind != storage.ValidatorNone && modified.Equal(at)
}

func etagOf(obj *storage.Object) string {
	if tag := obj.Header.Get("Etag"); tag != "" {
		return tag
	}
	return obj.Version.ETag
}

func modifiedAt(obj *storage.Object) (time.Time, bool) {
	value := obj.Header.Get("Last-Modified")
	if value == "" {
		value = obj.Version.LastModified
	}
	at, err := http.ParseTime(value)
	return at, err == nil
}

func dateOf(h http.Header, name string) (time.Time, bool) {
	value := h.Get(name)
	if value == "" {
		return time.Time{}, false
	}
	at, err := http.ParseTime(value)
	return at, err == nil // RFC 9110 section 13.1.3: no valid date, no condition
}

// matches reports whether any tag of the lines equals etag; "*" matches every
// existing object. Reading ends at the first fault.
func matches(lines []string, etag string, equal func(a, b string) bool) bool {
	for _, line := range lines {
		for {
			line = textproto.TrimString(strings.TrimLeft(line, ", \t"))
			if line == "" {
				break
			}
			if line[0] == '*' {
				return true
			}
			tag, rest, ok := readETag(line)
			if !ok {
				return false
			}
			if etag != "" && equal(tag, etag) {
				return true
			}
			line = rest
		}
	}
	return false
}

func strongEqual(a, b string) bool { return a == b && strings.HasPrefix(a, `"`) }

func weakEqual(a, b string) bool {
	return strings.TrimPrefix(a, "W/") == strings.TrimPrefix(b, "W/")
}

// readETag takes one entity tag off the front of s (RFC 9110 section 8.8.3).
func readETag(s string) (tag, rest string, ok bool) {
	start := 0
	if strings.HasPrefix(s, "W/") {
		start = 2
	}
	if len(s) < start+2 || s[start] != '"' {
		return "", "", false
	}
	for i := start + 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return s[:i+1], s[i+1:], true
		case c < 0x21 || c == 0x7f:
			return "", "", false
		}
	}
	return "", "", false
}

// request returns what the source is asked for.
func (w wanted) request(ref storage.Ref, rule *storage.Rule, head bool) storage.Request {
	req := storage.Request{Ref: ref, Rule: rule, First: w.span, Whole: w.whole(), HeadOnly: head}
	if rule.Profile == storage.ProfileDO {
		req.Total = w.total
	}
	switch {
	case w.kind == rangeUnreadable:
		req.First, req.Whole = storage.Span{End: math.MaxInt64}, true
	case w.span == nothing():
		req.HeadOnly = true
	}
	return req
}
