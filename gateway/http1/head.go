package http1

import (
	"bytes"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
)

// maxHead bounds the heads that are read here; longer ones are net/http's.
const maxHead = 8 << 10

// maxLines bounds a head's lines.
const maxLines = 48

// headEnd looks for the end of a head in b, of which the first seen bytes were
// looked at before. odd tells that the bytes are no head as this package reads
// it: lines that end without CR may hide an end.
func headEnd(b []byte, seen int) (end int, odd bool) {
	if len(b) == 0 {
		return 0, false
	}
	if b[0] == '\r' || b[0] == '\n' {
		return 0, true
	}
	from := max(0, seen-3)
	if at := bytes.Index(b[from:], []byte("\r\n\r\n")); at >= 0 {
		return from + at + 4, false
	}
	rest := b[from:]
	return 0, bytes.Contains(rest, []byte("\n\n")) || bytes.Contains(rest, []byte("\n\r\n"))
}

// What a byte may be part of.
const (
	inToken  = 1 << iota // RFC 9110 section 5.6.2
	inValue              // visible ASCII, space and tab
	inTarget             // visible ASCII without "#"
	inHost               // a name or literal with port
	inPath               // a path that is the same unescaped and escaped
)

// classes tells of every byte what it may be part of.
var classes = func() (t [256]uint8) { //nolint:gochecknoglobals // a constant table
	for c := range 256 {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z' && c < 0x80 || '0' <= c && c <= '9'
		if letter || strings.IndexByte("!#$%&'*+-.^_`|~", byte(c)) >= 0 {
			t[c] |= inToken
		}
		if c > ' ' && c < 0x7f {
			t[c] |= inValue
			if c != '#' {
				t[c] |= inTarget
			}
		}
		if letter || strings.IndexByte(".:-_[]", byte(c)) >= 0 && c != 0 {
			t[c] |= inHost
		}
		if letter || strings.IndexByte("-_.~$&+,/:;=@", byte(c)) >= 0 && c != 0 {
			t[c] |= inPath
		}
	}
	t[' '] |= inValue
	t['\t'] |= inValue
	return t
}()

func all(s string, class uint8) bool {
	for i := range len(s) {
		if classes[s[i]]&class == 0 {
			return false
		}
	}
	return true
}

// lines holds a request's header values; the slices of the header point into
// it.
type lines [maxLines]string

// parse reads head, which ends with an empty line, into r, whose Header is
// empty and whose URL is writable. It accepts only what net/http accepts, and
// understands it in the same way; false leaves the decision to net/http.
func parse(head string, r *http.Request, values *lines) bool {
	line, rest, _ := strings.Cut(head, "\r\n")
	if !parseLine(line, r) {
		return false
	}
	host := ""
	r.Close = false
	for n := 0; ; n++ {
		line, rest, _ = strings.Cut(rest, "\r\n")
		if line == "" {
			break
		}
		colon := strings.IndexByte(line, ':')
		if n == maxLines || colon <= 0 {
			return false
		}
		name, value := line[:colon], trim(line[colon+1:])
		if !all(name, inToken) || !all(value, inValue) {
			return false
		}
		name = textproto.CanonicalMIMEHeaderKey(name)
		switch name {
		case "Host":
			if host != "" || value == "" || !all(value, inHost) {
				return false
			}
			host = value
			continue // net/http keeps it out of the header
		case "Connection":
			switch {
			case len(r.Header["Connection"]) > 0:
				return false
			case strings.EqualFold(value, "close"):
				r.Close = true
			case !strings.EqualFold(value, "keep-alive"):
				return false
			}
		case "Content-Length", "Transfer-Encoding", "Expect", "Upgrade", "Trailer", "Http2-Settings":
			return false
		}
		values[n] = value
		if before := r.Header[name]; before != nil {
			r.Header[name] = append(before, value)
		} else {
			r.Header[name] = values[n : n+1 : n+1]
		}
	}
	if host == "" || rest != "" {
		return false
	}
	if p := r.Header["Pragma"]; len(p) > 0 && p[0] == "no-cache" {
		if _, told := r.Header["Cache-Control"]; !told {
			r.Header["Cache-Control"] = []string{"no-cache"} // as net/http does (RFC 7234 section 5.4)
		}
	}
	r.Host = host
	return true
}

// trim drops optional whitespace (RFC 9110 section 5.6.3).
func trim(s string) string {
	for len(s) > 0 && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for len(s) > 0 && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// parseLine reads the request line.
func parseLine(line string, r *http.Request) bool {
	target, ok := strings.CutSuffix(line, " HTTP/1.1")
	if !ok {
		return false
	}
	switch {
	case strings.HasPrefix(target, "GET /"):
		r.Method, target = http.MethodGet, target[len("GET "):]
	case strings.HasPrefix(target, "HEAD /"):
		r.Method, target = http.MethodHead, target[len("HEAD "):]
	default:
		return false
	}
	if !all(target, inTarget) {
		return false
	}
	path, query, asked := strings.Cut(target, "?")
	if all(path, inPath) && (!asked || query != "") {
		*r.URL = url.URL{Path: path, RawQuery: query}
	} else {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			return false
		}
		*r.URL = *u
	}
	r.RequestURI = target
	return true
}
