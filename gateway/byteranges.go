package gateway

import (
	"crypto/rand"
	"net/http"
	"strconv"

	"github.com/mccd/mccd/gateway/http1"
	"github.com/mccd/mccd/storage"
)

// byteRanges is the form of an answer to several ranges, multipart/byteranges
// (RFC 9110 section 14.6). It has at most maxRanges parts, none of which
// overlap, so it is never much longer than its object.
type byteRanges struct {
	boundary string
	kind     string // the object's Content-Type
	size     int64  // the object's
	parts    []storage.Span
}

// newByteRanges returns nil where d has no parts.
func newByteRanges(obj *storage.Object, d decision) *byteRanges {
	if d.parts == nil {
		return nil
	}
	m := &byteRanges{boundary: rand.Text(), kind: "application/octet-stream", size: obj.Size(), parts: d.parts}
	if kind := obj.Header.Get("Content-Type"); kind != "" {
		m.kind = kind
	}
	return m
}

// head puts what the form tells of the answer into h.
func (m *byteRanges) head(h http.Header) {
	if m == nil {
		return
	}
	h["Content-Type"] = []string{"multipart/byteranges; boundary=" + m.boundary}
	h["Content-Length"] = []string{strconv.FormatInt(m.length(), 10)}
}

// length returns the length of the body, with all that is around the parts.
func (m *byteRanges) length() int64 {
	n := int64(len(m.tail(nil)))
	for i, part := range m.parts {
		n += int64(len(m.partHead(nil, i))) + part.Len()
	}
	return n
}

// partHead appends what comes before part i.
func (m *byteRanges) partHead(b []byte, i int) []byte {
	if i > 0 {
		b = append(b, "\r\n"...)
	}
	b = append(b, "--"...)
	b = append(b, m.boundary...)
	b = append(b, "\r\n"...)
	b = http1.AppendField(b, "Content-Range", contentRange(m.parts[i], m.size))
	b = http1.AppendField(b, "Content-Type", m.kind)
	return append(b, "\r\n"...)
}

// tail appends what comes after the last part.
func (m *byteRanges) tail(b []byte) []byte {
	b = append(b, "\r\n--"...)
	b = append(b, m.boundary...)
	return append(b, "--\r\n"...)
}

// deliverParts sends the body, of whose first part run is the beginning. What
// comes before a part leaves in one segment with its first bytes.
func (x *exchange) deliverParts(content Content, m *byteRanges, run storage.Run, direct bool) {
	var space [512]byte
	for i, part := range m.parts {
		if i > 0 {
			run = x.nextOrCut(content, part)
		}
		x.around(m.partHead(space[:0], i))
		if direct && run.File != nil && x.g.egress == nil {
			x.conn.cork()
		}
		x.deliverSpan(content, part, run, direct)
	}
	x.around(m.tail(space[:0]))
}

// around sends bytes of the form, which are not the object's.
func (x *exchange) around(b []byte) {
	n, err := windowed{x}.Write(b)
	x.sent += int64(n)
	if err != nil {
		x.abort(cutClient, err)
	}
}
