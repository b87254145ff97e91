package httpcache

import (
	"maps"
	"net/http"
	"slices"
	"testing"
)

func names(h http.Header) []string { return slices.Sorted(maps.Keys(h)) }

func TestKeptAndEndToEnd(t *testing.T) {
	h := fields(
		"Content-Type", "a/b", "Etag", `"1"`, "X-Cid", "7", "Accept-Ranges", "bytes", "Vary", "Accept",
		"Connection", "close, X-One", "Connection", "x-two,", "X-One", "1", "X-Two", "2",
		"Keep-Alive", "timeout=5", "Transfer-Encoding", "chunked", "Te", "x", "Trailer", "x", "Upgrade", "h2c",
		"Proxy-Authenticate", "x", "Proxy-Connection", "close",
		"Content-Length", "5", "Content-Range", "bytes 0-4/9", "Content-Digest", "x", "Date", at(0), "Age", "1",
		"Set-Cookie", "a=b", "Alt-Svc", "h3", "Strict-Transport-Security", "max-age=1",
	)
	before := len(h)
	if got, want := names(Kept(h)), []string{"Accept-Ranges", "Content-Type", "Etag", "Vary", "X-Cid"}; !slices.Equal(got, want) {
		t.Errorf("kept %v, want %v", got, want)
	}
	want := []string{"Accept-Ranges", "Age", "Alt-Svc", "Content-Digest", "Content-Length", "Content-Range", "Content-Type", "Date", "Etag",
		"Set-Cookie", "Strict-Transport-Security", "Vary", "X-Cid"}
	if got := names(EndToEnd(h)); !slices.Equal(got, want) {
		t.Errorf("end to end %v, want %v", got, want)
	}
	if len(h) != before {
		t.Error("the argument was changed")
	}
	if Kept(nil) == nil || EndToEnd(nil) == nil {
		t.Error("nil for no fields")
	}
}

// RFC 9111 section 3.2.
func TestUpdate(t *testing.T) {
	stored := fields("Content-Type", "a/b", "Etag", `"1"`, "X-Old", "1", "Cache-Control", "max-age=1")
	fresh := fields("Content-Type", "c/d", "Etag", `W/"1"`, "Last-Modified", at(0), "Cache-Control", "max-age=2", "X-New", "1", "Date", at(0), "Content-Length", "0")
	got := Update(stored, fresh)
	want := fields("Content-Type", "a/b", "Etag", `"1"`, "Last-Modified", at(0), "X-Old", "1", "Cache-Control", "max-age=2", "X-New", "1")
	if !maps.EqualFunc(got, want, slices.Equal) {
		t.Errorf("%v, want %v", got, want)
	}
	if stored.Get("Cache-Control") != "max-age=1" || fresh.Get("Date") == "" {
		t.Error("an argument was changed")
	}
	if got := Update(nil, fresh); got.Get("X-New") != "1" {
		t.Errorf("from nothing: %v", got)
	}
}
