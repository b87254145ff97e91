package httpcache

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/mccd/mccd/storage"
)

// ErrContentRange: a Content-Range does not follow RFC 9110 section 14.4.
var ErrContentRange = errors.New("malformed Content-Range")

// ParseContentRange reads a Content-Range of unit bytes: the bytes that an
// answer holds and the object's length, -1 where that is "*". For the
// unsatisfied form ("bytes */N") the span is empty. A span that is not inside
// the length is an error.
func ParseContentRange(s string) (storage.Span, int64, error) {
	fail := func() (storage.Span, int64, error) {
		return storage.Span{}, 0, fmt.Errorf("%w: %.60q", ErrContentRange, s)
	}
	unit, rest, ok := strings.Cut(s, " ")
	if !ok || !strings.EqualFold(unit, "bytes") {
		return fail()
	}
	span, total, ok := strings.Cut(strings.Trim(rest, " \t"), "/")
	if !ok {
		return fail()
	}
	size := int64(-1)
	if total != "*" {
		if size = number(total); size < 0 {
			return fail()
		}
	}
	if span == "*" {
		if size < 0 {
			return fail()
		}
		return storage.Span{}, size, nil
	}
	first, last, ok := strings.Cut(span, "-")
	off, end := number(first), number(last)
	if !ok || off < 0 || end < off || end == math.MaxInt64 || size >= 0 && end >= size {
		return fail()
	}
	return storage.Span{Off: off, End: end + 1}, size, nil
}

// number reads 1*DIGIT; -1 if s is not that or exceeds an int64.
func number(s string) int64 {
	if s == "" {
		return -1
	}
	n := int64(0)
	for _, c := range []byte(s) {
		if c < '0' || c > '9' || n > (math.MaxInt64-int64(c-'0'))/10 {
			return -1
		}
		n = n*10 + int64(c-'0')
	}
	return n
}

// FormatContentRange writes what ParseContentRange reads. An empty span gives
// the unsatisfied form.
func FormatContentRange(span storage.Span, size int64) string {
	total := "*"
	if size >= 0 {
		total = fmt.Sprint(size)
	}
	if span.Empty() {
		return "bytes */" + total
	}
	return fmt.Sprintf("bytes %d-%d/%s", span.Off, span.End-1, total)
}
