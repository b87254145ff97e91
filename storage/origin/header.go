package origin

import (
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"

	"github.com/mccd/mccd/storage"
)

// header returns the fields of a fetch: a fixed list, nothing of a client's.
func (c *Client) header(r Request) http.Header {
	h := http.Header{
		"User-Agent":      {"mccd/" + c.cfg.Version},
		"Accept":          {"*/*"},
		"Accept-Encoding": {"identity"},
		"Via":             {c.via()},
	}
	if !r.Whole {
		h.Set("Range", formatRange(r.Span))
	}
	if r.Revalidate != nil {
		conditions(h, r.Revalidate)
	}
	return h
}

func (c *Client) via() string { return "1.1 " + c.cfg.Node }

// conditions asks for anything but v (RFC 9110 section 13.1). Where the rule
// tells versions by Last-Modified or not at all, the ETag is left out while
// there is a date: it takes precedence, and the edges of one CDN may disagree
// on it.
func conditions(h http.Header, v *storage.Version) {
	byDate := v.Kind == storage.ValidatorLastModified || v.Kind == storage.ValidatorLastModifiedLength || v.Kind == storage.ValidatorImmutable
	if v.ETag != "" && (!byDate || v.LastModified == "") {
		h.Set("If-None-Match", v.ETag)
	}
	if v.LastModified != "" {
		h.Set("If-Modified-Since", v.LastModified)
	}
}

// shortestToken is the length from which a query may hold a signature.
const shortestToken = 8

// withoutTokens takes the fields out of h that repeat a query by which the
// answer was got, redirects included: what is kept goes to disk and to other
// clients, and a signed query must not.
func (x *exchange) withoutTokens(h http.Header) http.Header {
	for _, query := range x.queries {
		h = withoutToken(h, query)
	}
	return h
}

func withoutToken(h http.Header, query string) http.Header {
	if len(query) < shortestToken {
		return h
	}
	for name, values := range h {
		if slices.ContainsFunc(values, func(v string) bool { return strings.Contains(v, query) }) {
			delete(h, name)
		}
	}
	return h
}

// formatRange writes a span as a Range (RFC 9110 section 14.1.2).
func formatRange(s storage.Span) string {
	switch {
	case s.Off < 0:
		return fmt.Sprintf("bytes=%d", s.Off)
	case s.End == math.MaxInt64:
		return fmt.Sprintf("bytes=%d-", s.Off)
	default:
		return fmt.Sprintf("bytes=%d-%d", s.Off, s.End-1)
	}
}
