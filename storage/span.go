package storage

import "fmt"

// Span is a half-open range of bytes [Off, End). The zero Span is empty.
type Span struct {
	Off, End int64
}

// Len returns the number of bytes of s, 0 when s is empty or inverted.
func (s Span) Len() int64 { return max(0, s.End-s.Off) }

// Empty reports whether s has no bytes.
func (s Span) Empty() bool { return s.End <= s.Off }

// Contains reports whether every byte of t is in s. An empty t is in any s.
func (s Span) Contains(t Span) bool { return t.Empty() || s.Off <= t.Off && t.End <= s.End }

// Intersect returns the bytes that are in both, an empty Span if none are.
func (s Span) Intersect(t Span) Span {
	r := Span{max(s.Off, t.Off), min(s.End, t.End)}
	if r.Empty() {
		return Span{}
	}
	return r
}

// Shift returns s moved by d bytes.
func (s Span) Shift(d int64) Span { return Span{s.Off + d, s.End + d} }

// Round returns s widened to multiples of unit, which must be positive, and
// cut at limit.
func (s Span) Round(unit, limit int64) Span {
	if s.Empty() {
		return s
	}
	end := limit
	if units := (s.End-1)/unit + 1; units <= limit/unit { // no overflow
		end = units * unit
	}
	return Span{s.Off / unit * unit, min(end, limit)}
}

// String prints s the way slices are written: [off:end).
func (s Span) String() string { return fmt.Sprintf("[%d:%d)", s.Off, s.End) }
