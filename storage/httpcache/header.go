package httpcache

import (
	"net/http"
	"slices"
	"strings"
)

// hopByHop are the fields that concern one connection only (RFC 9110 section
// 7.6.1), beside those that Connection names.
var hopByHop = [...]string{ //nolint:gochecknoglobals // a table, never changed
	"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authentication-Info", "Proxy-Authorization",
	"Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Http2-Settings",
}

// notKept are the end-to-end fields that say something about one answer, not
// about the object: its length and range, its time, digests of its content
// (RFC 9530 section 2), what it tells one client, and what binds a host name
// that is not the cache's.
var notKept = [...]string{ //nolint:gochecknoglobals // a table, never changed
	"Content-Length", "Content-Range", "Content-Digest", "Content-Md5", "Date", "Age", "Set-Cookie", "Set-Cookie2",
	"Alt-Svc", "Strict-Transport-Security", "Public-Key-Pins", "Clear-Site-Data",
}

// notUpdated are kept fields that a 304 does not change, since they describe
// the stored bytes (RFC 9111 section 3.2).
var notUpdated = [...]string{ //nolint:gochecknoglobals // a table, never changed
	"Content-Encoding", "Content-Type", "Content-Range", "Content-Length", "Etag", "Last-Modified",
}

// EndToEnd returns a copy of h without its hop-by-hop fields (RFC 9110 section
// 7.6.1).
func EndToEnd(h http.Header) http.Header {
	out := h.Clone()
	if out == nil {
		out = make(http.Header)
	}
	for _, line := range h["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			out.Del(strings.Trim(name, " \t"))
		}
	}
	for _, name := range hopByHop {
		delete(out, name)
	}
	return out
}

// Kept returns the fields of h that are kept with an object and go on to
// clients (storage.Object.Header), as a copy.
func Kept(h http.Header) http.Header {
	out := EndToEnd(h)
	for _, name := range notKept {
		delete(out, name)
	}
	return out
}

// Update returns the fields kept with an object after a 304 with header h
// confirmed it: stored, with those of h in their place (RFC 9111 section 3.2).
// Neither argument is changed.
func Update(stored, h http.Header) http.Header {
	out := stored.Clone()
	if out == nil {
		out = make(http.Header)
	}
	for name, lines := range Kept(h) {
		if _, known := out[name]; !known || !slices.Contains(notUpdated[:], name) {
			out[name] = lines
		}
	}
	return out
}
