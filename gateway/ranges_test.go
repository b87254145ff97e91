package gateway

import (
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mccd/mccd/storage"
)

const liteAgent = "Microsoft-Delivery-Optimization-Lite/10.0.0.1"

func TestParseRange(t *testing.T) {
	const end = math.MaxInt64
	many := func(n int, sep string) string {
		parts := make([]string, n)
		for i := range parts {
			parts[i] = fmt.Sprintf("%d-%d", 10*i, 10*i+1)
		}
		return "bytes=" + strings.Join(parts, sep)
	}
	for _, tt := range []struct {
		value string
		lite  bool
		kind  rangeKind
		span  storage.Span
	}{
		{"bytes=0-1", false, rangeOne, storage.Span{Off: 0, End: 2}},
		{"bytes=5-", false, rangeOne, storage.Span{Off: 5, End: end}},
		{"bytes=-5", false, rangeOne, storage.Span{Off: -5, End: end}},
		{"Bytes = 0-1", false, rangeOne, storage.Span{Off: 0, End: 2}},
		{"bytes= 0-1 ,", false, rangeOne, storage.Span{Off: 0, End: 2}},
		{"bytes=-0", false, rangeOne, nothing()},
		{"bytes=0-9223372036854775807", false, rangeOne, storage.Span{Off: 0, End: end}},
		{"bytes=1-99999999999999999999999", false, rangeOne, storage.Span{Off: 1, End: end}},
		{"bytes=9223372036854775808-", false, rangeOne, storage.Span{Off: end, End: end}},
		{"bytes=99999999999999999998-99999999999999999999", false, rangeOne, nothing()},
		{"bytes=-99999999999999999999", false, rangeOne, storage.Span{Off: -end, End: end}},
		{"bytes=99999999999999999999-99999999999999999998", false, rangeUnreadable, storage.Span{}},
		{"bytes=5-3", false, rangeUnreadable, storage.Span{}},
		{"bytes=", false, rangeUnreadable, storage.Span{}},
		{"bytes=,", false, rangeUnreadable, storage.Span{}},
		{"bytes", false, rangeUnreadable, storage.Span{}},
		{"bytes=a-b", false, rangeUnreadable, storage.Span{}},
		{"bytes=--5", false, rangeUnreadable, storage.Span{}},
		{"bytes=+1-2", false, rangeUnreadable, storage.Span{}},
		{"bytes=1-2-3", false, rangeUnreadable, storage.Span{}},
		{"bytes=1 - 2", false, rangeUnreadable, storage.Span{}},
		{"bytes=-", false, rangeUnreadable, storage.Span{}},
		{"bytes=0x1-2", false, rangeUnreadable, storage.Span{}},
		{"seconds=1-2", false, rangeUnreadable, storage.Span{}},
		{"bytes=0-1,5-6", false, rangeMany, storage.Span{End: 2}},
		{"bytes=5-6,-1", false, rangeMany, storage.Span{Off: 5, End: 7}},
		{"bytes=0-5,5-6", false, rangeTooMany, storage.Span{}},
		{"bytes=-5,-6", false, rangeTooMany, storage.Span{}},
		{"bytes=0-,5-6", false, rangeTooMany, storage.Span{}},
		{many(16, ", "), false, rangeMany, storage.Span{End: 2}},
		{many(17, ","), false, rangeTooMany, storage.Span{}},
		{many(10_000, ","), false, rangeTooMany, storage.Span{}},
		{"bytes=0-99,10-99,20-99", true, rangeOne, storage.Span{Off: 20, End: 100}},
		{"bytes=0-99, bytes=10-99", true, rangeOne, storage.Span{Off: 10, End: 100}},
		{many(10_000, ","), true, rangeOne, storage.Span{Off: 99990, End: 99992}},
		{"bytes=0-99,", true, rangeUnreadable, storage.Span{}},
	} {
		got := parseRange(tt.value, tt.lite)
		if got.kind != tt.kind || got.span != tt.span {
			t.Errorf("parseRange(%.60q, %v) = %v %v, want %v %v", tt.value, tt.lite, got.kind, got.span, tt.kind, tt.span)
		}
	}
}

// TestLastRangeLineCounts: the Nth resume carries N lines, and only the last is
// right (docs/clients.md section 2).
func TestLastRangeLineCounts(t *testing.T) {
	n := startNode(t, 1000, nil)
	for _, agent := range []string{liteAgent, "curl/8"} {
		a := n.get(t, doHost, "/f", "User-Agent: "+agent, "Range: bytes=100-999", "Range: bytes=300-999", "Range: bytes=990-999")
		if a.status != 206 || string(a.body) != string(n.source.data[990:]) || a.header.Get("Content-Range") != "bytes 990-999/1000" {
			t.Errorf("%s: %d %v, %d bytes", agent, a.status, a.header, len(a.body))
		}
	}
	a := n.get(t, doHost, "/f", "User-Agent: "+liteAgent, "Range: bytes=100-999, 300-999, 990-999")
	if a.status != 206 || string(a.body) != string(n.source.data[990:]) {
		t.Errorf("folded: %d %v", a.status, a.header)
	}
}

// TestSourceIsAskedForTheRange: what the fill is told before the size is known.
func TestSourceIsAskedForTheRange(t *testing.T) {
	n := startNode(t, 1000, nil)
	const end = math.MaxInt64
	for _, tt := range []struct {
		line  string
		first storage.Span
		whole bool
		head  bool
	}{
		{"X: y", storage.Span{End: end}, true, false},
		{"Range: bytes=0-1", storage.Span{End: 2}, false, false},
		{"Range: bytes=7-", storage.Span{Off: 7, End: end}, true, false},
		{"Range: bytes=-7", storage.Span{Off: -7, End: end}, true, false},
		{"Range: bytes=-0", nothing(), true, true},
	} {
		n.get(t, httpHost, "/f", tt.line)
		reqs := n.source.requests()
		got := reqs[len(reqs)-1]
		if got.First != tt.first || got.Whole != tt.whole || got.HeadOnly != tt.head {
			t.Errorf("%s: %+v", tt.line, got)
		}
	}
}

// emptyFile is a file of a given size without content, for HEAD.
type emptyFile struct{ *io.SectionReader }

func oracle(size int64, lines http.Header) *http.Response {
	w := httptest.NewRecorder()
	r := httptest.NewRequest("HEAD", "/f", nil)
	r.Header = lines.Clone()
	w.Header().Set("Content-Type", "image/gif")
	w.Header().Set("Etag", `"v1"`)
	http.ServeContent(w, r, "f", oracleTime(), emptyFile{io.NewSectionReader(strings.NewReader(""), 0, size)})
	return w.Result()
}

func oracleTime() time.Time { return time.Date(2026, 6, 1, 10, 0, 0, 0, time.UTC) }

func oracleObject(size int64) *storage.Object {
	modified := oracleTime().Format(http.TimeFormat)
	return &storage.Object{
		Version: storage.Version{Kind: storage.ValidatorETag, ETag: `"v1"`, Size: size},
		Header:  http.Header{"Etag": {`"v1"`}, "Last-Modified": {modified}, "Content-Type": {"image/gif"}},
	}
}

// ours decides like serve does and returns status and Content-Range.
func ours(size int64, lines http.Header) (int, string, storage.Span) {
	r := &http.Request{Method: "GET", Header: lines}
	obj := oracleObject(size)
	d := decide(r, storage.ProfileHTTP, obj, readRange(r))
	cr := ""
	if d.status == 206 {
		cr = contentRange(d.span, size)
	}
	return d.status, cr, d.span
}

func FuzzRange(f *testing.F) {
	for _, s := range []string{"bytes=0-1", "bytes=5-", "bytes=-5", "bytes=-0", "bytes=0-0,-1", "bytes=9223372036854775808-", "bytes=5-3", "x=1", "bytes=0-9, bytes=5-9"} {
		f.Add(s, int64(10), false)
	}
	f.Fuzz(func(t *testing.T, value string, size int64, lite bool) {
		size &= math.MaxInt64
		want := parseRange(value, lite)
		if want.kind == rangeNone {
			t.Fatalf("%q asks for nothing", value)
		}
		if want.kind != rangeOne {
			return
		}
		span, ok := resolve(want.span, size)
		if ok != !span.Empty() || ok && (span.Off < 0 || span.End > size) {
			t.Fatalf("%q of %d bytes: %v, %v", value, size, span, ok)
		}
		if lite || size == 0 {
			return
		}
		// ServeContent reads fewer forms; what it takes as one range it must
		// take as the same one. It knows no suffix of no bytes.
		h := http.Header{"Range": {value}}
		resp := oracle(size, h)
		if resp.StatusCode != 206 || want.span == nothing() {
			return
		}
		if status, cr, _ := ours(size, h); status != 206 || cr != resp.Header.Get("Content-Range") {
			t.Fatalf("%q of %d bytes: %d %q, ServeContent %q", value, size, status, cr, resp.Header.Get("Content-Range"))
		}
	})
}
