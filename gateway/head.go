package gateway

import (
	"maps"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mccd/mccd/gateway/http1"
	"github.com/mccd/mccd/storage"
)

// hopByHop reports headers that concern one connection only, or that this
// cache computes itself.
func hopByHop(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection", "Te",
		"Trailer", "Transfer-Encoding", "Upgrade", "Content-Length", "Content-Range", "Age", "Date":
		return true
	}
	return false
}

// wireName returns name as it goes out. Delivery Optimization Lite matches
// names by case (docs/clients.md section 4), so all are canonical, whatever the
// origin sent.
func wireName(name string) string {
	switch name = textproto.CanonicalMIMEHeaderKey(name); name {
	case "Etag":
		return "ETag"
	case "Www-Authenticate":
		return "WWW-Authenticate"
	}
	return name
}

// objectHead puts an object's headers into h. Values are shared with the
// object and never changed. Content-Length is always there, in canonical form:
// Delivery Optimization Lite reads nothing else (docs/clients.md section 4).
func (g *Gateway) objectHead(h http.Header, obj *storage.Object, d decision) {
	for name, values := range obj.Header {
		if name = wireName(name); !hopByHop(name) {
			h[name] = values
		}
	}
	if !obj.ValidatedAt.IsZero() {
		// The answer is as old as its last validation (RFC 9111 section 4.2.3).
		h["Age"] = []string{strconv.FormatInt(age(obj, g.cfg.Now()), 10)}
		h["Date"] = []string{obj.ValidatedAt.UTC().Format(http.TimeFormat)}
	}
	if d.status == http.StatusNotModified {
		for _, name := range []string{"Content-Type", "Content-Encoding", "Content-Language"} {
			delete(h, name)
		}
		return
	}
	if len(h["Content-Type"]) == 0 {
		// Without one net/http copies the first bytes to look at them.
		h["Content-Type"] = g.values.octets
	}
	h["Accept-Ranges"] = g.values.acceptRanges
	if d.parts != nil {
		return // byteRanges.head tells the rest
	}
	h["Content-Length"] = []string{strconv.FormatInt(d.span.Len(), 10)}
	if d.status == http.StatusPartialContent {
		h["Content-Range"] = []string{contentRange(d.span, obj.Size())}
	}
}

// age returns the seconds from obj's validation to now.
func age(obj *storage.Object, now time.Time) int64 {
	return int64(max(0, now.Sub(obj.ValidatedAt)) / time.Second)
}

func contentRange(span storage.Span, size int64) string {
	return string(appendContentRange(make([]byte, 0, 64), span, size))
}

func appendContentRange(b []byte, span storage.Span, size int64) []byte {
	b = append(b, "bytes "...)
	b = strconv.AppendInt(b, span.Off, 10)
	b = append(b, '-')
	b = strconv.AppendInt(b, span.End-1, 10)
	b = append(b, '/')
	return strconv.AppendInt(b, size, 10)
}

// ready is an object's header as it goes out from this node, but for what is
// of one answer.
type ready struct {
	obj    *storage.Object
	fields []byte
	// before are the members of Cache-Status that come before ours.
	before string
}

// of makes the fields of obj, unless they are those that r has.
func (r *ready) of(g *Gateway, obj *storage.Object) {
	if r.obj == obj {
		return
	}
	h := http.Header{}
	g.objectHead(h, obj, decision{status: http.StatusOK})
	g.nodeHead(h, g.cacheStatus(storage.SourceDisk, false)) // left out below
	r.before = ""
	if lines := obj.Header["Cache-Status"]; len(lines) > 0 {
		r.before = strings.NewReplacer("\r", " ", "\n", " ").Replace(strings.Join(lines, ", ")) + ", "
	}
	b := make([]byte, 0, 1<<10)
	for _, name := range slices.Sorted(maps.Keys(h)) {
		switch name {
		case "Age", "Cache-Status", "Connection", "Content-Length":
			continue
		}
		for _, value := range h[name] {
			b = http1.AppendField(b, name, value)
		}
	}
	r.obj, r.fields = obj, b
}

// writeReady sends the head of an answer with content without making a header,
// where the connection can; false: it is to be made.
func (x *exchange) writeReady(obj *storage.Object, d decision) bool {
	w, ok := x.w.(http1.FieldWriter)
	if !ok || x.conn == nil || d.status == http.StatusNotModified || d.parts != nil || obj.ValidatedAt.IsZero() || x.g.cfg.Draining() {
		return false
	}
	r := &x.conn.ready
	r.of(x.g, obj)
	b := append(x.conn.head[:0], r.fields...)
	b = append(b, "Age: "...)
	b = strconv.AppendInt(b, age(obj, x.start), 10)
	b = append(b, "\r\nCache-Status: "...)
	b = append(b, r.before...)
	b = append(b, x.g.cacheStatus(x.from, x.collapsed)[0]...)
	b = append(b, "\r\n"...)
	if d.status == http.StatusPartialContent {
		b = append(b, "Content-Range: "...)
		b = appendContentRange(b, d.span, obj.Size())
		b = append(b, "\r\n"...)
	}
	x.conn.head = b
	w.WriteFields(d.status, d.span.Len(), b)
	return true
}

// nodeHead puts this node's own headers into h, last in the lists that caches
// append to.
func (g *Gateway) nodeHead(h http.Header, cacheStatus []string) {
	delete(h, "X-Cid")
	delete(h, "X-Ccc")
	h["X-CID"], h["X-CCC"] = g.values.cid, g.values.ccc
	h["Via"] = joined(h["Via"], g.values.via)
	h["Cache-Status"] = joined(h["Cache-Status"], cacheStatus)
	if g.cfg.Draining() {
		h["Connection"] = g.values.close
	}
}

func joined(before, last []string) []string {
	if len(before) == 0 {
		return last
	}
	return []string{strings.Join(before, ", ") + ", " + last[0]}
}

// respond writes a refusal: a short text that says what to do, never stored.
func (g *Gateway) respond(w http.ResponseWriter, no *refusal, cacheStatus string) {
	h := w.Header()
	for name, values := range no.header {
		if name = wireName(name); !hopByHop(name) && !describesBody(name) {
			h[name] = values
		}
	}
	body := no.text + "\n"
	h["Content-Type"] = []string{"text/plain; charset=utf-8"}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	h["Cache-Control"] = []string{"no-store"}
	h["X-Content-Type-Options"] = []string{"nosniff"}
	if no.allow != "" {
		h["Allow"] = []string{no.allow}
	}
	if no.status == http.StatusServiceUnavailable {
		h["Retry-After"] = []string{"2"}
	}
	g.nodeHead(h, []string{cacheStatus})
	w.WriteHeader(no.status)
	_, _ = w.Write([]byte(body)) // a client that has gone misses nothing
}

// describesBody reports headers of an origin's body, which is not sent on.
func describesBody(name string) bool {
	switch name {
	case "ETag", "Last-Modified", "Accept-Ranges", "Expires", "Cache-Control", "Vary":
		return true
	}
	return strings.HasPrefix(name, "Content-")
}
