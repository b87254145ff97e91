package httpcache

import (
	"net/http"
	"testing"
	"time"

	"github.com/mccd/mccd/storage"
)

func TestValidator(t *testing.T) {
	byLength := &storage.Rule{LastModifiedLength: true, ImmutablePrefixes: []string{"/i/"}}
	old, young := at(time.Minute), at(59*time.Second)
	tests := []struct {
		name string
		h    http.Header
		date time.Time
		size int64
		rule *storage.Rule
		path string
		want storage.ValidatorKind
	}{
		{"strong ETag (RFC 9110 8.8.3)", fields("Etag", `"a"`), now, 5, nil, "/a", storage.ValidatorETag},
		{"empty strong ETag", fields("Etag", `""`), now, 5, nil, "/a", storage.ValidatorETag},
		{"ETag before date", fields("Etag", `"a"`, "Last-Modified", old), now, 5, nil, "/a", storage.ValidatorETag},
		{"weak ETag", fields("Etag", `W/"a"`), now, 5, nil, "/a", storage.ValidatorNone},
		{"ETag without quotes", fields("Etag", `a`), now, 5, nil, "/a", storage.ValidatorNone},
		{"ETag with a space", fields("Etag", `"a b"`), now, 5, nil, "/a", storage.ValidatorNone},
		{"lone quote", fields("Etag", `"`), now, 5, nil, "/a", storage.ValidatorNone},
		{"two ETags", fields("Etag", `"a"`, "Etag", `"b"`), now, 5, nil, "/a", storage.ValidatorNone},
		{"same ETag twice", fields("Etag", `"a"`, "Etag", `"a"`), now, 5, nil, "/a", storage.ValidatorETag},
		{"date 60 s old (RFC 9110 8.8.2.2)", fields("Last-Modified", old), now, 5, nil, "/a", storage.ValidatorLastModified},
		{"date 59 s old", fields("Last-Modified", young), now, 5, nil, "/a", storage.ValidatorNone},
		{"weak ETag and an old date", fields("Etag", `W/"a"`, "Last-Modified", old), now, 5, nil, "/a", storage.ValidatorLastModified},
		{"Date unknown", fields("Last-Modified", old), time.Time{}, 5, nil, "/a", storage.ValidatorNone},
		{"unreadable date", fields("Last-Modified", "yesterday"), now, 5, byLength, "/a", storage.ValidatorNone},
		{"date and length by rule", fields("Etag", `"a"`, "Last-Modified", young), now, 5, byLength, "/a", storage.ValidatorLastModifiedLength},
		{"date and length of mirrors", fields("Etag", `"a"`, "Last-Modified", young), now, 5, &storage.Rule{KeyHost: "all.test"}, "/a", storage.ValidatorLastModifiedLength},
		{"no date in spite of the rule", fields("Etag", `"a"`), now, 5, byLength, "/a", storage.ValidatorETag},
		{"length unknown in spite of the rule", fields("Etag", `"a"`, "Last-Modified", old), now, -1, byLength, "/a", storage.ValidatorETag},
		{"immutable path", fields(), now, 5, byLength, "/i/x", storage.ValidatorImmutable},
		{"immutable path, length unknown", fields(), now, -1, byLength, "/i/x", storage.ValidatorNone},
		{"nothing", fields(), now, 5, nil, "/a", storage.ValidatorNone},
	}
	for _, tt := range tests {
		got := Validator(tt.h, tt.date, tt.size, tt.rule, tt.path, 7)
		if got.Kind != tt.want || got.Size != tt.size {
			t.Errorf("%s: %+v, want kind %d", tt.name, got, tt.want)
		}
		if wantNonce := got.Kind == storage.ValidatorNone; (got.Nonce == 7) != wantNonce {
			t.Errorf("%s: nonce %d", tt.name, got.Nonce)
		}
	}
}

func TestWeakEqual(t *testing.T) { // RFC 9110 section 8.8.3.2
	for _, tt := range []struct {
		a, b string
		want bool
	}{{`W/"1"`, `W/"1"`, true}, {`W/"1"`, `W/"2"`, false}, {`W/"1"`, `"1"`, true}, {`"1"`, `"1"`, true}} {
		if got := WeakEqual(tt.a, tt.b); got != tt.want {
			t.Errorf("%s %s: %v", tt.a, tt.b, got)
		}
	}
}

func TestContentRange(t *testing.T) { // RFC 9110 section 14.4
	sp := func(off, end int64) storage.Span { return storage.Span{Off: off, End: end} }
	good := []struct {
		s    string
		span storage.Span
		size int64
	}{
		{"bytes 0-0/1", sp(0, 1), 1},
		{"bytes 42-1233/1234", sp(42, 1234), 1234},
		{"bytes 42-1233/*", sp(42, 1234), -1},
		{"Bytes 0-1/2", sp(0, 2), 2},
		{"bytes */1234", storage.Span{}, 1234},
		{"bytes */0", storage.Span{}, 0},
		{"bytes 0-9223372036854775806/9223372036854775807", sp(0, 1<<63-1), 1<<63 - 1},
		{"bytes 00-01/002", sp(0, 2), 2},
	}
	for _, tt := range good {
		span, size, err := ParseContentRange(tt.s)
		if err != nil || span != tt.span || size != tt.size {
			t.Errorf("%q: %v %d %v", tt.s, span, size, err)
		}
	}
	for _, s := range []string{"", "bytes", "bytes ", "bytes=0-1/2", "lines 0-1/2", "bytes 0-1", "bytes 1-0/2", "bytes 0-2/2", "bytes -1/2",
		"bytes 0-/2", "bytes 0-1/", "bytes 0-1/-2", "bytes +0-1/2", "bytes 0 - 1/2", "bytes */*", "bytes 0-1/2/3", "bytes 0-1,3-4/5",
		"bytes 0-9223372036854775807/*", "bytes 0-9223372036854775808/*", "bytes 0-1/9223372036854775808", "bytes 0x0-1/2", "bytes\t0-1/2"} {
		if span, size, err := ParseContentRange(s); err == nil {
			t.Errorf("%q: %v of %d", s, span, size)
		}
	}
}

func FuzzContentRange(f *testing.F) {
	for _, s := range []string{"bytes 0-0/1", "bytes 1-2/*", "bytes */5", "bytes 9-1/2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		span, size, err := ParseContentRange(s)
		if err != nil {
			return
		}
		if span.Off < 0 || size < -1 || size >= 0 && span.End > size || span.Empty() && (span != storage.Span{} || size < 0) {
			t.Fatalf("%q: %v of %d", s, span, size)
		}
		again, total, err := ParseContentRange(FormatContentRange(span, size))
		if err != nil || again != span || total != size {
			t.Errorf("%q: %v of %d becomes %v of %d, %v", s, span, size, again, total, err)
		}
	})
}
