package httpcache

import (
	"net/http"
	"strings"
	"time"

	"github.com/mccd/mccd/storage"
)

const (
	// heuristicPart of the time since the last change is the heuristic
	// lifetime (RFC 9111 section 4.2.2), at most heuristicMost.
	heuristicPart = 10
	heuristicMost = 24 * time.Hour
	// immutableFor is the lifetime of paths that a rule calls immutable.
	immutableFor = 365 * 24 * time.Hour
)

// FreshFor returns how long after received an answer with header h may be
// served without asking the origin: its lifetime (RFC 9111 section 4.2.1) less
// its age on arrival (section 4.2.3), never negative. received is when the
// request was sent, so that the delay of the answer counts as age. rule may be
// nil; path is the raw path. 0 = to be revalidated at each request.
func FreshFor(h http.Header, received time.Time, rule *storage.Rule, path string) time.Duration {
	d := ParseCacheControl(h["Cache-Control"])
	if d.NoCache || d.NoStore || rule != nil && rule.RevalidateAlways(path) {
		return 0
	}
	if rule != nil && rule.Immutable(path) {
		return immutableFor
	}
	return max(0, lifetime(d, h, received, rule)-Age(h, received))
}

// lifetime returns the freshness lifetime: s-maxage, max-age, Expires, the
// rule's, the heuristic one, in this order.
func lifetime(d Directives, h http.Header, received time.Time, rule *storage.Rule) time.Duration {
	switch {
	case d.SMaxAge >= 0:
		return d.SMaxAge
	case d.MaxAge >= 0:
		return d.MaxAge
	}
	date := Date(h, received)
	if lines := h["Expires"]; len(lines) > 0 {
		expires, err := http.ParseTime(lines[0])
		if err != nil || len(lines) > 1 {
			return 0 // RFC 9111 section 5.3: an unreadable date is in the past
		}
		return expires.Sub(date)
	}
	if rule != nil && rule.FreshFor > 0 {
		return rule.FreshFor
	}
	modified, err := http.ParseTime(h.Get("Last-Modified"))
	if err != nil || !modified.Before(date) {
		return 0
	}
	return min(date.Sub(modified)/heuristicPart, heuristicMost)
}

// Date returns when the origin made the answer: its Date, or received where it
// has none that can be read (RFC 9110 section 6.6.1).
func Date(h http.Header, received time.Time) time.Time {
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		return date
	}
	return received
}

// Age returns the age of an answer on arrival: the greater of what Age says
// and what has passed since its Date (RFC 9111 section 4.2.3). Of several Age
// values the first counts, one that cannot be read is ignored (section 5.1).
func Age(h http.Header, received time.Time) time.Duration {
	age := received.Sub(Date(h, received))
	first, _, _ := strings.Cut(h.Get("Age"), ",")
	return max(0, age, seconds(strings.Trim(first, " \t")))
}
