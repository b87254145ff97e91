package httpcache

import (
	"net/http"
	"strings"
	"time"

	"github.com/mccd/mccd/storage"
)

// strongAfter is how much older than Date a Last-Modified must be to count as
// strong (RFC 9110 section 8.8.2.2).
const strongAfter = time.Minute

// Validator returns the version that an answer is of: told by the rule where
// it says how (immutable paths; Last-Modified and length, also of mirrors, which
// make ETags of their own), else by a strong ETag, else by a Last-Modified at least 60 s older than date, else by nothing
// (ValidatorNone, told apart by nonce). date is the answer's Date, the zero
// time where unknown; size is the object's length, -1 where unknown, and then
// no validator that the length is a part of can be had. rule may be nil; path
// is the raw path.
func Validator(h http.Header, date time.Time, size int64, rule *storage.Rule, path string, nonce uint64) storage.Version {
	v := storage.Version{ETag: single(h["Etag"]), LastModified: single(h["Last-Modified"]), Size: size}
	modified, err := http.ParseTime(v.LastModified)
	dated := err == nil
	switch {
	case size >= 0 && rule != nil && rule.Immutable(path):
		v.Kind = storage.ValidatorImmutable
	case size >= 0 && rule != nil && (rule.LastModifiedLength || rule.KeyHost != "") && dated:
		v.Kind = storage.ValidatorLastModifiedLength
	case StrongETag(v.ETag):
		v.Kind = storage.ValidatorETag
	case dated && !date.IsZero() && date.Sub(modified) >= strongAfter:
		v.Kind = storage.ValidatorLastModified
	default:
		v.Kind, v.Nonce = storage.ValidatorNone, nonce
	}
	return v
}

// single returns the only line of a field, "" where it has none or several
// that differ: then nobody can say which is meant.
func single(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	for _, l := range lines[1:] {
		if l != lines[0] {
			return ""
		}
	}
	return lines[0]
}

// StrongETag reports whether tag is a well-formed strong entity tag (RFC 9110
// section 8.8.3).
func StrongETag(tag string) bool {
	if len(tag) < 2 || tag[0] != '"' || tag[len(tag)-1] != '"' {
		return false
	}
	for _, c := range []byte(tag[1 : len(tag)-1]) {
		if c < 0x21 || c == '"' || c == 0x7f {
			return false
		}
	}
	return true
}

// WeakEqual compares two entity tags without their weakness (RFC 9110 section
// 8.8.3.2).
func WeakEqual(a, b string) bool { return strings.TrimPrefix(a, "W/") == strings.TrimPrefix(b, "W/") }
