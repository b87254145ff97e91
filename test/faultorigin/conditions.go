package faultorigin

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/mccd/mccd/storage"
)

func lastRange(h http.Header) string {
	lines := h["Range"]
	if len(lines) == 0 {
		return ""
	}
	return lines[len(lines)-1]
}

// parseRange reads a single range of an object of the given size. ranged is
// false where there is no range to honour; ok is false where it holds no byte.
func parseRange(v string, size int64) (span storage.Span, ok, ranged bool) {
	set, found := strings.CutPrefix(v, "bytes=")
	first, last, dash := strings.Cut(strings.TrimSpace(set), "-")
	if !found || !dash || strings.Contains(set, ",") {
		return span, false, false
	}
	end, err := strconv.ParseInt(last, 10, 64)
	if first == "" {
		if err != nil {
			return span, false, false
		}
		return storage.Span{Off: max(0, size-end), End: size}, end > 0 && size > 0, true
	}
	off, offErr := strconv.ParseInt(first, 10, 64)
	if offErr != nil || last != "" && (err != nil || end < off) {
		return span, false, false
	}
	if last == "" || end >= size {
		end = size - 1
	}
	return storage.Span{Off: off, End: end + 1}, off < size, true
}

// ifRange reports whether a range is to be honoured (RFC 9110 section 13.1.5).
func (a *answer) ifRange() bool {
	v := a.r.Header.Get("If-Range")
	if v == "" {
		return true
	}
	h := a.w.Header()
	etag := h.Get("ETag")
	return v == etag && !strings.HasPrefix(etag, "W/") || v == h.Get("Last-Modified")
}

// notModified evaluates the request's conditions (RFC 9110 section 13.2.2).
func (a *answer) notModified() bool {
	if a.r.Method != http.MethodGet && a.r.Method != http.MethodHead {
		return false
	}
	if v := a.r.Header.Get("If-None-Match"); v != "" {
		if v == "*" {
			return true
		}
		etag := strings.TrimPrefix(a.w.Header().Get("ETag"), "W/")
		for tag := range strings.SplitSeq(v, ",") {
			if etag != "" && strings.TrimPrefix(strings.TrimSpace(tag), "W/") == etag {
				return true
			}
		}
		return false
	}
	since, err := http.ParseTime(a.r.Header.Get("If-Modified-Since"))
	if err != nil || a.w.Header().Get("Last-Modified") == "" {
		return false
	}
	return !a.ent.modified.Truncate(time.Second).After(since)
}
