package origin

import (
	"fmt"
	"math"
	"net/http"
	"net/url"
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

// shortestToken is the length from which a query, or the value of one of its
// parameters, may be a signature.
const shortestToken = 8

// withoutTokens takes the fields out of h that repeat one of queries, or one of
// their parameters: what is kept goes to disk and to other clients, and what
// signs a URL must not. Fields that say what the object is stay for a parameter,
// by which some stores let a URL choose them.
func withoutTokens(h http.Header, queries []string) http.Header {
	for _, query := range queries {
		if len(query) < shortestToken {
			continue
		}
		values := parameters(query)
		for name, lines := range h {
			repeats := func(text string) bool {
				return slices.ContainsFunc(lines, func(line string) bool { return strings.Contains(line, text) })
			}
			if repeats(query) || !describes(name) && slices.ContainsFunc(values, repeats) {
				delete(h, name)
			}
		}
	}
	return h
}

// parameters returns the values in query that may be signatures, as they are
// and decoded.
func parameters(query string) (values []string) {
	for part := range strings.SplitSeq(query, "&") {
		_, value, ok := strings.Cut(part, "=")
		if !ok {
			value = part
		}
		if len(value) < shortestToken {
			continue
		}
		values = append(values, value)
		if plain, err := url.QueryUnescape(value); err == nil && plain != value && len(plain) >= shortestToken {
			values = append(values, plain)
		}
	}
	return values
}

// describes reports whether a field tells of the object, its version or its
// freshness.
func describes(name string) bool {
	switch name {
	case "Accept-Ranges", "Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Type",
		"Etag", "Expires", "Last-Modified", "Vary":
		return true
	}
	return false
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
