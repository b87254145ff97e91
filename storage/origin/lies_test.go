package origin

import (
	"errors"
	"io"
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/faultorigin"
)

// Every lie and every break, and the error that it ends with.
func TestNothingWrongLooksRight(t *testing.T) {
	const short = 200 * time.Millisecond
	ranged, whole := Request{Span: span(1000, 2000)}, Request{Whole: true}
	cr := func(s string) faultorigin.Behaviour { return faultorigin.Behaviour{ContentRange: s} }
	field := func(name, value string) faultorigin.Behaviour {
		return faultorigin.Behaviour{Header: http.Header{name: {value}}}
	}
	tests := []struct {
		name   string
		req    Request
		script faultorigin.Behaviour
		want   error
	}{
		{"no Content-Range", ranged, cr("-"), ErrLie},
		{"unreadable Content-Range", ranged, cr("bytes 1000-x/300000"), ErrLie},
		{"other unit", ranged, cr("lines 1000-1999/300000"), ErrLie},
		{"unsatisfied form on a 206", ranged, cr("bytes */300000"), ErrLie},
		{"begins early", ranged, cr("bytes 999-1998/300000"), ErrLie},
		{"begins late", ranged, cr("bytes 1001-2000/300000"), ErrLie},
		{"ends late", ranged, cr("bytes 1000-2000/300000"), ErrLie},
		{"ends early", ranged, cr("bytes 1000-1998/300000"), ErrLie},
		{"ends early, total unknown", ranged, cr("bytes 1000-1998/*"), ErrLie},
		{"ends past its total", ranged, cr("bytes 1000-1999/1999"), ErrLie},
		{"ends where a false total ends", ranged, cr("bytes 1000-1998/1999"), ErrLie}, // Content-Length says 1000
		{"overflow", ranged, cr("bytes 1000-99999999999999999999/300000"), ErrLie},
		{"more bytes than chunks can be numbered", ranged, cr("bytes 1000-1999/36028797018963969"), ErrLie},
		{"the longest length", ranged, cr("bytes 1000-1999/9223372036854775807"), ErrLie},
		{"whole object of the longest length", whole, faultorigin.Behaviour{LengthDelta: math.MaxInt64 - 300_000}, ErrLie},
		{"two Content-Ranges", ranged, faultorigin.Behaviour{Header: http.Header{"Content-Range": {"bytes 1000-1999/300000", "bytes 0-999/300000"}}}, ErrLie},
		{"multipart", ranged, faultorigin.Behaviour{Multipart: true}, ErrLie},
		{"206 to no Range", whole, faultorigin.Behaviour{Status: 206}, ErrLie},
		{"200 with Content-Range", whole, field("Content-Range", "bytes 0-1/2"), ErrLie},
		{"304 to no condition", whole, faultorigin.Behaviour{Status: 304}, ErrLie},
		{"gzip to identity", ranged, faultorigin.Behaviour{Gzip: true}, ErrLie},
		{"gzip to identity, whole", whole, faultorigin.Behaviour{Gzip: true}, ErrLie},
		{"206 called gzip", ranged, field("Content-Encoding", "gzip"), ErrLie},
		{"length less than Content-Range", ranged, faultorigin.Behaviour{LengthDelta: -1}, ErrLie},
		{"length more than Content-Range", ranged, faultorigin.Behaviour{LengthDelta: 1}, ErrLie},
		{"length more than the body", whole, faultorigin.Behaviour{LengthDelta: 1}, ErrBroken},
		{"short range", ranged, faultorigin.Behaviour{Break: faultorigin.Short, After: 500}, ErrBroken},
		{"short range, chunked", ranged, faultorigin.Behaviour{Chunked: true, Break: faultorigin.Short, After: 500}, ErrBroken},
		{"short range, to the close", ranged, faultorigin.Behaviour{UntilClose: true, Break: faultorigin.Short, After: 500}, ErrBroken},
		{"no byte of the body", ranged, faultorigin.Behaviour{Break: faultorigin.Short}, ErrBroken},
		{"short whole", whole, faultorigin.Behaviour{Break: faultorigin.Short, After: 100_000}, ErrBroken},
		{"short whole, chunked", whole, faultorigin.Behaviour{Chunked: true, Break: faultorigin.Short, After: 100_000}, ErrBroken},
		{"reset", whole, faultorigin.Behaviour{Break: faultorigin.Reset, After: 100_000}, ErrBroken},
		{"reset of chunks", whole, faultorigin.Behaviour{Chunked: true, Break: faultorigin.Reset, After: 100_000}, ErrBroken},
		{"no answer", whole, faultorigin.Behaviour{Drop: true}, ErrBroken},
		{"stalled body", whole, faultorigin.Behaviour{Break: faultorigin.Stall, After: 70_000}, ErrStall},
		{"stalled range", ranged, faultorigin.Behaviour{Break: faultorigin.Stall, After: 500}, ErrStall},
		{"stall without a byte of the body", ranged, faultorigin.Behaviour{Break: faultorigin.Stall}, ErrStall},
		{"more chunks than Content-Range", ranged, faultorigin.Behaviour{Chunked: true, ContentRange: "bytes 1000-1998/1999"}, ErrLie},
		{"more to the close than Content-Range", ranged, faultorigin.Behaviour{UntilClose: true, ContentRange: "bytes 1000-1998/1999"}, ErrLie},
		{"huge head", whole, field("X-Huge", longField()), ErrBroken},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var cfg Config
			if tt.want == ErrStall { //nolint:errorlint // the table's own value; others are no matter of time
				cfg.Stall = short
			}
			wrong(t, newBed(t, cfg, tt.script), tt.req, tt.want)
		})
	}
}

func longField() string {
	p := make([]byte, 2*maxHead)
	for i := range p {
		p[i] = 'x'
	}
	return string(p)
}

func TestSilentHeadIsAStall(t *testing.T) {
	g := faultorigin.NewGate()
	defer g.Open()
	b := newBed(t, Config{FirstByte: 100 * time.Millisecond}, faultorigin.Behaviour{Gate: g})
	wrong(t, b, Request{Whole: true}, ErrStall)
}

func TestBytesBeyondTheLengthDoNotReachTheNextAnswer(t *testing.T) {
	for _, b := range []faultorigin.Behaviour{
		{Requests: []int{1}, Extra: 1000},
		{Requests: []int{1}, IgnoreRange: true, LengthDelta: -100_000},
	} {
		bed := newBed(t, Config{}, b)
		resp, err := bed.fetch(t, Request{Span: span(0, 1000)})
		if err != nil {
			t.Fatal(err)
		}
		right(t, resp, "1", resp.Span)
		// The next request must not meet what was left over. The connection
		// may be found closed under it; then it fails, it never lies.
		resp, err = bed.fetch(t, Request{Span: span(5, 2000)})
		if err != nil {
			if !errors.Is(err, storage.ErrUpstream) {
				t.Errorf("error %v", err)
			}
			continue
		}
		right(t, resp, "1", span(5, 2000))
	}
}

// A 304 that is about another version (RFC 9111 section 4.3.4).
func TestMismatched304(t *testing.T) {
	const date = "Wed, 01 Jan 2025 00:00:00 GMT"
	tests := []struct {
		name string
		v    storage.Version
		h    http.Header
		want error
	}{
		{"same ETag", storage.Version{Kind: storage.ValidatorETag, ETag: `"a"`}, http.Header{"Etag": {`"a"`}}, nil},
		{"no ETag", storage.Version{Kind: storage.ValidatorETag, ETag: `"a"`}, nil, nil},
		{"other ETag", storage.Version{Kind: storage.ValidatorETag, ETag: `"a"`}, http.Header{"Etag": {`"b"`}}, ErrMismatch},
		{"other ETag where the date counts", storage.Version{Kind: storage.ValidatorLastModifiedLength, ETag: `"a"`, LastModified: date},
			http.Header{"Etag": {`"b"`}, "Last-Modified": {date}}, nil},
		{"other date", storage.Version{Kind: storage.ValidatorLastModifiedLength, LastModified: date},
			http.Header{"Last-Modified": {"Tue, 31 Dec 2024 00:00:00 GMT"}}, ErrMismatch},
		{"immutable", storage.Version{Kind: storage.ValidatorImmutable, ETag: `"a"`}, http.Header{"Etag": {`"b"`}}, nil},
	}
	for _, tt := range tests {
		b := newBed(t, Config{}, faultorigin.Behaviour{Status: 304, Header: tt.h})
		resp, err := b.fetch(t, Request{Whole: true, Revalidate: &tt.v})
		if !errors.Is(err, tt.want) || err == nil && (!resp.NotModified || resp.Object.Version != tt.v) {
			t.Errorf("%s: %+v, error %v, want %v", tt.name, resp, err, tt.want)
		}
	}
}

func TestCodedAnswerIsKeptAsItIsInHTTP(t *testing.T) {
	b := newBed(t, Config{}, faultorigin.Behaviour{Gzip: true})
	b.rule.Profile = storage.ProfileHTTP
	resp, err := b.fetch(t, Request{Whole: true})
	if err != nil || resp.Object.Header.Get("Content-Encoding") != "gzip" {
		t.Fatalf("%+v, %v", resp, err)
	}
	if n, err := io.Copy(io.Discard, resp.Body); err != nil || n != resp.Span.Len() {
		t.Errorf("%d of %d bytes, %v", n, resp.Span.Len(), err)
	}
}
