package gateway

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/mccd/mccd/storage"
)

// TestAgainstServeContent compares our decisions in ProfileHTTP with those of
// http.ServeContent over combinations of ranges and conditions.
func TestAgainstServeContent(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	at := oracleTime()
	dates := []string{at.Format(http.TimeFormat), at.Add(time.Second).Format(http.TimeFormat), at.Add(-time.Second).Format(http.TimeFormat), "nonsense"}
	tags := []string{`"v1"`, `W/"v1"`, `"v2"`, `"v2", "v1"`, `W/"v2" , W/"v1"`, "*", `"v`, ""}
	pick := func(from []string) string { return from[rng.IntN(len(from))] }
	compared := 0
	for range 20_000 {
		size := int64(1 + rng.IntN(20))
		h := http.Header{}
		if rng.IntN(3) > 0 {
			a, b := rng.IntN(25), rng.IntN(25)
			h.Set("Range", []string{
				fmt.Sprintf("bytes=%d-%d", min(a, b), max(a, b)), fmt.Sprintf("bytes=%d-", a), fmt.Sprintf("bytes=-%d", 1+a),
			}[rng.IntN(3)])
		}
		for name, values := range map[string][]string{
			"If-Match": tags, "If-None-Match": tags, "If-Modified-Since": dates, "If-Unmodified-Since": dates,
			"If-Range": append(dates, tags...),
		} {
			if rng.IntN(4) == 0 {
				if v := pick(values); v != "" {
					h.Set(name, v)
				}
			}
		}
		if h.Get("If-Range") == "*" || h.Get("If-Range") == `"v2", "v1"` || h.Get("If-Range") == `W/"v2" , W/"v1"` {
			h.Del("If-Range") // If-Range holds one validator; ServeContent reads the first of a list
		}
		want := oracle(size, h)
		status, cr, span := ours(size, h)
		compared++
		wantRange := want.Header.Get("Content-Range")
		if want.StatusCode == 416 {
			wantRange = ""
		}
		if status != want.StatusCode || cr != wantRange {
			t.Fatalf("size %d, %v: %d %q; ServeContent %d %q", size, h, status, cr, want.StatusCode, wantRange)
		}
		if status < 300 && fmt.Sprint(span.Len()) != want.Header.Get("Content-Length") {
			t.Fatalf("size %d, %v: length %d; ServeContent %s", size, h, span.Len(), want.Header.Get("Content-Length"))
		}
	}
	t.Logf("%d requests decided alike", compared)
}

// TestDecideByProfile: ProfileDO never gives a status that bans, and never 200
// to a Range (docs/clients.md sections 4 and 5).
func TestDecideByProfile(t *testing.T) {
	for _, tt := range []struct {
		name       string
		header     http.Header
		size       int64
		do, inHTTP int
	}{
		{"no range", http.Header{}, 10, 200, 200},
		{"range", http.Header{"Range": {"bytes=1-2"}}, 10, 206, 206},
		{"past the end", http.Header{"Range": {"bytes=10-"}}, 10, 503, 416},
		{"beyond 2^63", http.Header{"Range": {"bytes=99999999999999999999-"}}, 10, 503, 416},
		{"no bytes", http.Header{"Range": {"bytes=-0"}}, 10, 503, 416},
		{"unreadable", http.Header{"Range": {"bytes=x"}}, 10, 503, 200},
		{"other unit", http.Header{"Range": {"items=0-1"}}, 10, 503, 200},
		{"inverted", http.Header{"Range": {"bytes=5-3"}}, 10, 503, 200},
		{"two ranges", http.Header{"Range": {"bytes=0-1,5-6"}}, 10, 503, 206},
		{"two ranges, one past the end", http.Header{"Range": {"bytes=0-1,15-16"}}, 10, 503, 206},
		{"two ranges past the end", http.Header{"Range": {"bytes=15-16,20-"}}, 10, 503, 416},
		{"the end twice", http.Header{"Range": {"bytes=5-,-1"}}, 10, 503, 416},
		{"two ranges of another If-Range", http.Header{"Range": {"bytes=0-1,5-6"}, "If-Range": {`"x"`}}, 10, 503, 200},
		{"overlapping of another If-Range", http.Header{"Range": {"bytes=0-5,5-6"}, "If-Range": {`"x"`}}, 10, 503, 200},
		{"unreadable of another If-Range", http.Header{"Range": {"bytes=x"}, "If-Range": {`"x"`}}, 10, 503, 200},
		{"empty If-Match", http.Header{"If-Match": {""}}, 10, 200, 200},
		{"overlapping", http.Header{"Range": {"bytes=0-5,5-6"}}, 10, 503, 416},
		{"empty object", http.Header{"Range": {"bytes=0-"}}, 0, 503, 200},
		{"failed If-Match", http.Header{"If-Match": {`"x"`}}, 10, 503, 412},
		{"failed If-Unmodified-Since", http.Header{"If-Unmodified-Since": {"Mon, 01 Jun 2020 10:00:00 GMT"}}, 10, 503, 412},
		{"If-None-Match", http.Header{"If-None-Match": {`W/"v1"`}}, 10, 304, 304},
		{"If-Modified-Since", http.Header{"If-Modified-Since": {"Mon, 01 Jun 2026 10:00:00 GMT"}}, 10, 304, 304},
		{"other If-Range", http.Header{"Range": {"bytes=1-2"}, "If-Range": {`"x"`}}, 10, 503, 200},
		{"this If-Range", http.Header{"Range": {"bytes=1-2"}, "If-Range": {`"v1"`}}, 10, 206, 206},
		{"weak If-Range", http.Header{"Range": {"bytes=1-2"}, "If-Range": {`W/"v1"`}}, 10, 503, 200},
	} {
		r := &http.Request{Method: "GET", Header: tt.header}
		obj := oracleObject(tt.size)
		if got := decide(r, storage.ProfileDO, obj, readRange(r)).status; got != tt.do {
			t.Errorf("%s: do %d, want %d", tt.name, got, tt.do)
		}
		if got := decide(r, storage.ProfileHTTP, obj, readRange(r)).status; got != tt.inHTTP {
			t.Errorf("%s: http %d, want %d", tt.name, got, tt.inHTTP)
		}
	}
}

// TestConditionsOnTheWire: what goes out with 304, 412, 416 and a widened 200.
func TestConditionsOnTheWire(t *testing.T) {
	n := startNode(t, 1000, nil)
	a := n.get(t, httpHost, "/f", `If-None-Match: "v1"`)
	if a.status != 304 || len(a.body) != 0 || a.header.Get("Etag") != `"v1"` || a.header.Get("Content-Length") != "" || a.header.Get("Content-Type") != "" {
		t.Errorf("304: %+v", a)
	}
	a = n.get(t, httpHost, "/f", "Range: bytes=1000-")
	if a.status != 416 || a.header.Get("Content-Range") != "bytes */1000" || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("416: %+v", a)
	}
	n.source.mu.Lock()
	n.source.errs = []error{storage.ErrRange}
	n.source.mu.Unlock()
	if a = n.get(t, httpHost, "/f", "Range: bytes=1000-"); a.status != 416 || a.header.Get("Content-Range") != "bytes */1000" {
		t.Errorf("416 told by the source: %+v", a)
	}
	a = n.get(t, httpHost, "/f", "Range: bytes=0-9", `If-Range: "v0"`)
	reqs := n.source.requests()
	if last := reqs[len(reqs)-1]; a.status != 200 || len(a.body) != 1000 || !last.Whole {
		t.Errorf("widened: %d, %d bytes, source asked %+v", a.status, len(a.body), last)
	}
}
