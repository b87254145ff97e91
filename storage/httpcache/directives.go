package httpcache

import (
	"strings"
	"time"
)

// Directives are the response directives of Cache-Control that a shared cache
// acts on (RFC 9111 section 5.2.2). Unknown ones are ignored.
type Directives struct {
	NoStore, NoCache, Private, Public bool
	// MustRevalidate also stands for proxy-revalidate.
	MustRevalidate bool
	// MaxAge and SMaxAge are negative where the directive is absent. One that
	// cannot be read, or is given twice with different values, is 0: stale
	// (RFC 9111 section 4.2.1).
	MaxAge, SMaxAge time.Duration
}

// maxDelta is the largest delta-seconds; greater ones are read as this (RFC
// 9111 section 1.2.2).
const maxDelta = 1 << 31

// ParseCacheControl reads all Cache-Control lines of a response. Qualified
// forms (no-cache="field", private="field") count as unqualified ones, which
// RFC 9111 sections 5.2.2.4 and 5.2.2.7 allow.
func ParseCacheControl(lines []string) Directives {
	d := Directives{MaxAge: -1, SMaxAge: -1}
	for _, line := range lines {
		for line != "" {
			var name, value string
			name, value, line = directive(line)
			switch strings.ToLower(name) {
			case "no-store":
				d.NoStore = true
			case "no-cache":
				d.NoCache = true
			case "private":
				d.Private = true
			case "public":
				d.Public = true
			case "must-revalidate", "proxy-revalidate":
				d.MustRevalidate = true
			case "max-age":
				d.MaxAge = once(d.MaxAge, value)
			case "s-maxage":
				d.SMaxAge = once(d.SMaxAge, value)
			}
		}
	}
	return d
}

// once returns the lifetime that value says, 0 if another was said before.
func once(before time.Duration, value string) time.Duration {
	v := seconds(value)
	if v < 0 || before >= 0 && before != v {
		return 0
	}
	return v
}

// seconds reads delta-seconds; negative if s is not one.
func seconds(s string) time.Duration {
	if s == "" {
		return -1
	}
	n := int64(0)
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return -1
		}
		n = min(n*10+int64(c-'0'), maxDelta)
	}
	return time.Duration(n) * time.Second
}

// directive cuts the first directive off s. A quoted value may hold commas and
// escapes (RFC 9110 section 5.6.4); an unterminated one ends with s.
func directive(s string) (name, value, rest string) {
	end := strings.IndexAny(s, ",=")
	if end < 0 {
		return strings.Trim(s, " \t"), "", ""
	}
	name = strings.Trim(s[:end], " \t")
	if s[end] == ',' {
		return name, "", s[end+1:]
	}
	s = strings.TrimLeft(s[end+1:], " \t")
	if !strings.HasPrefix(s, `"`) {
		value, rest, _ = strings.Cut(s, ",")
		return name, strings.Trim(value, " \t"), rest
	}
	var b strings.Builder
	i := 1
	for ; i < len(s) && s[i] != '"'; i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	_, rest, _ = strings.Cut(s[min(i+1, len(s)):], ",")
	return name, b.String(), rest
}
