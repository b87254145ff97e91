package http1

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// head puts status line and header into the buffer. body is what is known of a
// body whose type is not told.
func (w *response) head(h http.Header, body []byte) {
	buf := w.buffer()
	b := (*buf)[:0]
	b = append(b, "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(w.status), 10)
	b = append(b, ' ')
	if text := http.StatusText(w.status); text != "" {
		b = append(b, text...)
	} else {
		b = append(b, "status code "...)
		b = strconv.AppendInt(b, int64(w.status), 10)
	}
	b = append(b, "\r\n"...)
	var fields [maxLines]string
	names := fields[:0]
	for name := range h {
		names = append(names, name)
	}
	slices.Sort(names)
	ends := false
	for _, name := range names {
		if name == "" || !all(name, inToken) {
			continue
		}
		if name == "Connection" {
			ends = ends || hasClose(h[name])
		}
		if w.status == http.StatusNoContent && name == "Content-Length" {
			continue
		}
		for _, value := range h[name] {
			b = append(b, name...)
			b = append(b, ": "...)
			b = appendValue(b, value)
			b = append(b, "\r\n"...)
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
	if _, told := h["Content-Type"]; !told && len(body) > 0 && len(h["Content-Encoding"]) == 0 {
		b = append(b, "Content-Type: "...)
		b = append(b, http.DetectContentType(body)...)
		b = append(b, "\r\n"...)
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
	if strings.IndexByte(value, '\r') >= 0 || strings.IndexByte(value, '\n') >= 0 {
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
