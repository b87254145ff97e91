package httpcache

import (
	"net/http"
	"strings"
)

// Storable reports whether a shared cache that serves whoever asks may keep an
// answer (RFC 9111 section 3). It is stricter than the RFC: only 200 and 206
// are kept, no-store and private always count, and an answer that sets a
// cookie is for one client alone.
func Storable(status int, h http.Header) bool {
	if status != http.StatusOK && status != http.StatusPartialContent {
		return false
	}
	d := ParseCacheControl(h["Cache-Control"])
	_, every := Vary(h)
	return !d.NoStore && !d.Private && !every && len(h["Set-Cookie"]) == 0
}

// Vary returns the request fields, in lower case, that selected an answer (RFC
// 9110 section 12.5.5). every is true where it says "*": the answer fits no
// other request.
func Vary(h http.Header) (fields []string, every bool) {
	for _, line := range h["Vary"] {
		for name := range strings.SplitSeq(line, ",") {
			switch name = strings.ToLower(strings.Trim(name, " \t")); name {
			case "":
			case "*":
				every = true
			default:
				fields = append(fields, name)
			}
		}
	}
	return fields, every
}
