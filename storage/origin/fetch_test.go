package origin

import (
	"errors"
	"math"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/faultorigin"
)

func TestFetchSpans(t *testing.T) {
	tests := []struct {
		name      string
		req       Request
		script    faultorigin.Behaviour
		wantRange string
		want      storage.Span // of Response.Span
		size      int64
		ignored   bool
	}{
		{"whole", Request{Whole: true}, faultorigin.Behaviour{}, "", span(0, size), size, false},
		{"closed", Request{Span: span(1000, 101_000)}, faultorigin.Behaviour{}, "bytes=1000-100999", span(1000, 101_000), size, false},
		{"last byte", Request{Span: span(size-1, size)}, faultorigin.Behaviour{}, "bytes=299999-299999", span(size-1, size), size, false},
		{"past the end", Request{Span: span(1000, 1<<20)}, faultorigin.Behaviour{}, "bytes=1000-1048575", span(1000, size), size, false},
		{"open", Request{Span: span(7, math.MaxInt64)}, faultorigin.Behaviour{}, "bytes=7-", span(7, size), size, false},
		{"suffix", Request{Span: span(-9, math.MaxInt64)}, faultorigin.Behaviour{}, "bytes=-9", span(size-9, size), size, false},
		{"suffix beyond", Request{Span: span(-size-9, math.MaxInt64)}, faultorigin.Behaviour{}, "bytes=-300009", span(0, size), size, false},
		{"total unknown", Request{Span: span(0, 10)}, faultorigin.Behaviour{ContentRange: "bytes 0-9/*"}, "bytes=0-9", span(0, 10), -1, false},
		{"chunked range", Request{Span: span(5, 90_000)}, faultorigin.Behaviour{Chunked: true}, "bytes=5-89999", span(5, 90_000), size, false},
		{"range to the close", Request{Span: span(5, 90_000)}, faultorigin.Behaviour{UntilClose: true}, "bytes=5-89999", span(5, 90_000), size, false},
		{"range ignored", Request{Span: span(5, 10)}, faultorigin.Behaviour{IgnoreRange: true}, "bytes=5-9", span(0, size), size, true},
		{"no length", Request{Whole: true}, faultorigin.Behaviour{Chunked: true}, "", span(0, -1), -1, false},
		{"range ignored, no length", Request{Span: span(5, 10)}, faultorigin.Behaviour{IgnoreRange: true, Chunked: true}, "bytes=5-9", span(0, -1), -1, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBed(t, Config{}, tt.script)
			if tt.size < 0 {
				b.rule.Profile = storage.ProfileHTTP // do never goes without a length
			}
			resp, err := b.fetch(t, tt.req)
			if err != nil {
				t.Fatal(err)
			}
			if resp.Span != tt.want || resp.Object.Size() != tt.size || resp.RangeIgnored != tt.ignored || !resp.Cacheable {
				t.Errorf("span %v, size %d, ignored %v, cacheable %v", resp.Span, resp.Object.Size(), resp.RangeIgnored, resp.Cacheable)
			}
			want := tt.want
			if want.End < 0 {
				want.End = size
			}
			right(t, resp, "1", want)
			if e := b.origin.Ledger().Requests(path); len(e) != 1 || e[0].Header.Get("Range") != tt.wantRange {
				t.Errorf("ledger: %+v", e)
			}
		})
	}
}

func TestFetchDescribesTheObject(t *testing.T) {
	now := time.Now()
	b := newBed(t, Config{Now: func() time.Time { return now }}, faultorigin.Behaviour{Header: http.Header{
		"Cache-Control": {"max-age=600"}, "Age": {"100"}, "X-Cid": {"7"}, "Strict-Transport-Security": {"max-age=1"},
		"Connection": {"X-Hop"}, "X-Hop": {"1"}, "Keep-Alive": {"timeout=5"},
	}})
	resp, err := b.fetch(t, Request{Span: span(0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	o := resp.Object
	v := storage.Version{
		Kind: storage.ValidatorLastModifiedLength, ETag: faultorigin.ETag(path, "1"),
		LastModified: faultorigin.LastModified(path, "1").Format(http.TimeFormat), Size: size,
	}
	if o.ID != ref().ID() || o.Host != host || o.Path != path || o.Version != v || !o.ValidatedAt.Equal(now) {
		t.Errorf("object %+v, want version %+v", o, v)
	}
	if o.FreshFor <= 0 || o.FreshFor > 500*time.Second {
		t.Errorf("fresh for %v, want 600 s less the age", o.FreshFor)
	}
	var names []string
	for name := range o.Header {
		names = append(names, name)
	}
	slices.Sort(names)
	if want := []string{"Accept-Ranges", "Cache-Control", "Content-Type", "Etag", "Last-Modified", "X-Cid"}; !slices.Equal(names, want) {
		t.Errorf("kept %v, want %v", names, want)
	}
}

func TestAnswersWithoutValidatorAreVersionsOfTheirOwn(t *testing.T) {
	b := newBed(t, Config{}, faultorigin.Behaviour{NoValidators: true})
	seen := make(map[storage.VersionID]bool)
	for range 3 {
		resp, err := b.fetch(t, Request{Whole: true})
		if err != nil {
			t.Fatal(err)
		}
		right(t, resp, "1", span(0, size))
		if resp.Object.Version.Strong() || seen[resp.Object.Version.ID()] {
			t.Errorf("version %+v", resp.Object.Version)
		}
		seen[resp.Object.Version.ID()] = true
	}
}

func TestRevalidate(t *testing.T) {
	b := newBed(t, Config{}, faultorigin.Behaviour{Header: http.Header{"Cache-Control": {"max-age=60"}, "X-New": {"2"}}})
	first, err := b.fetch(t, Request{Span: span(0, 10)})
	if err != nil {
		t.Fatal(err)
	}
	right(t, first, "1", span(0, 10))
	v := first.Object.Version
	resp, err := b.fetch(t, Request{Span: span(0, 10), Revalidate: &v, Known: http.Header{"X-Old": {"1"}, "X-New": {"1"}}})
	if err != nil || !resp.NotModified || resp.Body != nil {
		t.Fatalf("%+v, %v", resp, err)
	}
	if o := resp.Object; o.Version != v || o.FreshFor <= 0 || o.Header.Get("X-Old") != "1" || o.Header.Get("X-New") != "2" {
		t.Errorf("object %+v", o)
	}
	b.origin.SetVersion(path, "2")
	resp, err = b.fetch(t, Request{Span: span(0, 10), Revalidate: &v})
	if err != nil || resp.NotModified || resp.Object.Version.ID() == v.ID() {
		t.Fatalf("changed object: %+v, %v", resp, err)
	}
	right(t, resp, "2", span(0, 10))
}

// TestFieldsThatRepeatTheQueryAreNotKept: some CDNs tell the cache key or the
// URL in a field, and what is kept is on disk and goes to other clients.
func TestFieldsThatRepeatTheQueryAreNotKept(t *testing.T) {
	leak := http.Header{"X-Cache-Key": {"S/L/1/" + path + "?" + ref().Query}, "X-Cid": {"7"}}
	b := newBed(t, Config{}, faultorigin.Behaviour{Requests: []int{1, 2}, Header: leak},
		faultorigin.Behaviour{Status: 404, Header: leak})
	first, err := b.fetch(t, Request{Span: span(0, 10)})
	if err != nil {
		t.Fatal(err)
	}
	again, err := b.fetch(t, Request{Span: span(0, 10), Revalidate: &first.Object.Version, Known: http.Header{"X-Old": {"1"}}})
	if err != nil || !again.NotModified {
		t.Fatalf("%+v, %v", again, err)
	}
	_, err = b.fetch(t, Request{Span: span(0, 10)})
	var status *storage.StatusError
	if !errors.As(err, &status) {
		t.Fatal(err)
	}
	for what, h := range map[string]http.Header{"answer": first.Object.Header, "304": again.Object.Header, "status": status.Header} {
		if h.Get("X-Cid") != "7" || h.Get("X-Cache-Key") != "" {
			t.Errorf("%s: %v", what, h)
		}
	}
}

func TestConditions(t *testing.T) {
	const tag, date = `"t"`, "Wed, 01 Jan 2025 00:00:00 GMT"
	tests := []struct {
		v           storage.Version
		none, since string
	}{
		{storage.Version{Kind: storage.ValidatorETag, ETag: tag, LastModified: date}, tag, date},
		{storage.Version{Kind: storage.ValidatorETag, ETag: tag}, tag, ""},
		{storage.Version{Kind: storage.ValidatorLastModified, ETag: "W/" + tag, LastModified: date}, "", date},
		{storage.Version{Kind: storage.ValidatorLastModifiedLength, ETag: tag, LastModified: date}, "", date},
		{storage.Version{Kind: storage.ValidatorImmutable, ETag: tag}, tag, ""},
		{storage.Version{Kind: storage.ValidatorNone, ETag: "W/" + tag, LastModified: date}, "W/" + tag, date},
		{storage.Version{}, "", ""},
	}
	for _, tt := range tests {
		h := make(http.Header)
		conditions(h, &tt.v)
		if h.Get("If-None-Match") != tt.none || h.Get("If-Modified-Since") != tt.since {
			t.Errorf("%+v: %v", tt.v, h)
		}
	}
}

func TestStatuses(t *testing.T) {
	for _, code := range []int{201, 204, 400, 401, 403, 404, 410, 429, 500, 502, 503} {
		b := newBed(t, Config{}, faultorigin.Behaviour{Status: code, Header: http.Header{"Retry-After": {"9"}}})
		_, err := b.fetch(t, Request{Span: span(0, 10)})
		var status *storage.StatusError
		if !errors.As(err, &status) || status.Code != code || status.Header.Get("Retry-After") != "9" {
			t.Errorf("%d: error %v", code, err)
		}
		if errors.Is(err, storage.ErrUpstream) {
			t.Errorf("%d: an answer counts as none", code)
		}
	}
}

func TestUnsatisfiable(t *testing.T) {
	for cr, total := range map[string]int64{"": size, "-": -1, "bytes 0-1/9": -1, "nonsense": -1, "bytes */9223372036854775807": -1} {
		b := newBed(t, Config{}, faultorigin.Behaviour{ContentRange: cr})
		_, err := b.fetch(t, Request{Span: span(size, size+10)})
		var un *UnsatisfiableError
		var status *storage.StatusError
		if !errors.As(err, &un) || un.Total != total || !errors.As(err, &status) || status.Code != 416 || !errors.Is(err, storage.ErrRange) {
			t.Errorf("Content-Range %q: error %v, want total %d", cr, err, total)
		}
	}
}

func TestCacheable(t *testing.T) {
	field := func(name, value string) faultorigin.Behaviour {
		return faultorigin.Behaviour{Header: http.Header{name: {value}}}
	}
	tests := []struct {
		name     string
		script   faultorigin.Behaviour
		do, http bool
	}{
		{"plain", faultorigin.Behaviour{}, true, true},
		{"no-store", field("Cache-Control", "no-store"), false, false},
		{"private", field("Cache-Control", "private"), false, false},
		{"cookie", field("Set-Cookie", "a=b"), false, false},
		{"vary *", field("Vary", "*"), false, false},
		{"vary coding", field("Vary", "Accept-Encoding"), true, true},
		{"vary language", field("Vary", "Accept-Language"), true, false},
		{"length told by the close alone", faultorigin.Behaviour{UntilClose: true}, true, false}, // do asks again, for a range
	}
	for _, tt := range tests {
		for profile, want := range map[storage.Profile]bool{storage.ProfileDO: tt.do, storage.ProfileHTTP: tt.http} {
			b := newBed(t, Config{}, tt.script)
			b.rule.Profile = profile
			resp, err := b.fetch(t, Request{Whole: true})
			if err != nil {
				t.Fatal(err)
			}
			if resp.Cacheable != want {
				t.Errorf("%s in %v: cacheable %v, want %v", tt.name, profile, resp.Cacheable, want)
			}
			right(t, resp, "1", span(0, size))
		}
	}
}

// What comes coded though identity was asked for fits nobody but its asker where
// the origin says that it varies.
func TestCodedAnswersOfProfileHTTP(t *testing.T) {
	for vary, want := range map[string]bool{"": true, "Accept-Encoding": false, "accept-encoding, User-Agent": false} {
		h := http.Header{}
		if vary != "" {
			h.Set("Vary", vary)
		}
		b := newBed(t, Config{}, faultorigin.Behaviour{Gzip: true, Header: h})
		b.rule.Profile = storage.ProfileHTTP
		resp, err := b.fetch(t, Request{Span: span(0, 100)})
		if err != nil {
			t.Fatal(err)
		}
		if resp.Cacheable != want || resp.Object.Header.Get("Content-Encoding") != "gzip" {
			t.Errorf("Vary %q: cacheable %t, header %v", vary, resp.Cacheable, resp.Object.Header)
		}
	}
}
