package http1

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// FieldWriter is what a response of this package is besides an
// http.ResponseWriter.
type FieldWriter interface {
	// WriteFields is WriteHeader with a header that is made already: lines as
	// AppendField makes them, without Content-Length, which it gets for length
	// bytes, and Connection. A Date must be among them. The fields are not used
	// after it returns.
	WriteFields(status int, length int64, fields []byte)
}

// AppendField appends one header line; nothing where name is no token. What
// would end the line in value becomes a space.
func AppendField(b []byte, name, value string) []byte {
	if name == "" || !all(name, inToken) {
		return b
	}
	b = append(b, name...)
	b = append(b, ": "...)
	b = appendValue(b, value)
	return append(b, "\r\n"...)
}

// WriteFields implements FieldWriter.
func (w *response) WriteFields(status int, length int64, fields []byte) {
	if w.status != 0 {
		return
	}
	w.status, w.length = status, length
	w.bare = w.c.req.Method == http.MethodHead
	buf := w.buffer()
	b := appendStatus((*buf)[:0], status)
	b = append(b, fields...)
	if w.close || w.c.s.draining.Load() {
		w.close = true
		b = append(b, "Connection: close\r\n"...)
	}
	b = append(b, "Content-Length: "...)
	b = strconv.AppendInt(b, length, 10)
	*buf = append(b, "\r\n\r\n"...)
}

// appendStatus appends the status line.
func appendStatus(b []byte, status int) []byte {
	b = append(b, "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(b, ' ')
	if text := http.StatusText(status); text != "" {
		b = append(b, text...)
	} else {
		b = append(b, "status code "...)
		b = strconv.AppendInt(b, int64(status), 10)
	}
	return append(b, "\r\n"...)
}

// head puts status line and header into the buffer. A Content-Type is not
// guessed.
func (w *response) head(h http.Header) {
	buf := w.buffer()
	b := appendStatus((*buf)[:0], w.status)
	var fields [maxLines]string
	names := fields[:0]
	for name := range h {
		names = append(names, name)
	}
	slices.Sort(names)
	ends := false
	for _, name := range names {
		if name == "Connection" {
			ends = ends || hasClose(h[name])
		}
		if w.status == http.StatusNoContent && name == "Content-Length" ||
			w.status == http.StatusNotModified && (name == "Content-Length" || name == "Content-Type") {
			continue // they would be those of a body
		}
		for _, value := range h[name] {
			b = AppendField(b, name, value)
		}
	}
	if !ends && (w.close || w.c.s.draining.Load()) {
		ends = true
		b = append(b, "Connection: close\r\n"...)
	}
	w.close = w.close || ends
	if w.chunked {
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	}
	if _, told := h["Date"]; !told {
		b = append(b, "Date: "...)
		b = append(b, w.c.s.today()...)
		b = append(b, "\r\n"...)
	}
	*buf = append(b, "\r\n"...)
}

func hasClose(values []string) bool {
	for _, line := range values {
		for token := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(trim(token), "close") {
				return true
			}
		}
	}
	return false
}

// appendValue appends a value without what would end its line.
func appendValue(b []byte, value string) []byte {
	if strings.ContainsAny(value, "\r\n") {
		value = strings.NewReplacer("\r", " ", "\n", " ").Replace(value)
	}
	return append(b, trim(value)...)
}

// date is the Date of one second.
type date struct {
	second int64
	text   string
}

// today returns the Date of an answer that is made now.
func (s *Server) today() string {
	now := time.Now()
	if d := s.date.Load(); d != nil && d.second == now.Unix() {
		return d.text
	}
	d := &date{now.Unix(), now.UTC().Format(http.TimeFormat)}
	s.date.Store(d)
	return d.text
}
