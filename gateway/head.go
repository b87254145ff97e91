package gateway

import (
	"net/http"
	"strconv"
	"strings"
	"time"

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

// objectHead puts an object's headers into h. Values are shared with the
// object and never changed. Content-Length is always there, in canonical form:
// Delivery Optimization Lite reads nothing else (docs/clients.md section 4).
func (g *Gateway) objectHead(h http.Header, obj *storage.Object, d decision) {
	for name, values := range obj.Header {
		if !hopByHop(name) {
			h[name] = values
		}
	}
	if !obj.ValidatedAt.IsZero() {
		// The answer is as old as its last validation (RFC 9111 section 4.2.3).
		age := max(0, g.cfg.Now().Sub(obj.ValidatedAt))
		h["Age"] = []string{strconv.FormatInt(int64(age/time.Second), 10)}
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
	h["Content-Length"] = []string{strconv.FormatInt(d.span.Len(), 10)}
	if d.status == http.StatusPartialContent {
		h["Content-Range"] = []string{contentRange(d.span, obj.Size())}
	}
}

func contentRange(span storage.Span, size int64) string {
	b := make([]byte, 0, 64)
	b = append(b, "bytes "...)
	b = strconv.AppendInt(b, span.Off, 10)
	b = append(b, '-')
	b = strconv.AppendInt(b, span.End-1, 10)
	b = append(b, '/')
	b = strconv.AppendInt(b, size, 10)
	return string(b)
}

// nodeHead puts this node's own headers into h, last in the lists that caches
// append to.
func (g *Gateway) nodeHead(h http.Header, cacheStatus []string) {
	delete(h, "X-Cid")
	h["X-CID"] = g.values.cid
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
		if !hopByHop(name) && !describesBody(name) {
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
	case "Etag", "Last-Modified", "Accept-Ranges", "Expires", "Cache-Control", "Vary":
		return true
	}
	return strings.HasPrefix(name, "Content-")
}
