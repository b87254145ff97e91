package gateway

import (
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mccd/mccd/storage"
)

// AccessField is one field of a line of the access log.
type AccessField struct {
	Name string
	// Kind is "text", "number" or "true or false"; Always tells that every line
	// has the field.
	Kind   string
	Always bool
	Doc    string
}

// AccessFields returns the fields of a line of the access log in their order:
// its documented format, docs/accesslog.md. New fields may come in later
// releases; those that are here keep their names and meanings.
func AccessFields() []AccessField {
	return []AccessField{
		{"time", "text", true, "When the request's head had been read, by RFC 3339 with milliseconds, in UTC."},
		{"client", "text", true, "The client's address, or what a trusted balancer says it is."},
		{"subnet", "text", true, "Its subnet, for sums: the first 24 bits of an IPv4 address, 64 of an IPv6 address."},
		{"method", "text", true, "The request's method."},
		{"scheme", "text", true, "http or https, as the client came."},
		{"origin", "text", true, "The name of the catalogue entry; empty where none was named."},
		{"product", "text", true, "What that entry calls its content."},
		{"host", "text", true, "The host of the origin that was asked for."},
		{"path", "text", true, "The path, as it was sent, cut after 2,048 bytes. Queries are never logged: they may be signed."},
		{"range", "text", true, "The Range line that counted; empty for none."},
		{"status", "number", true, "The answer's status; 0 where the connection ended before."},
		{"bytes", "number", true, "Bytes of the body that were handed to the system for sending."},
		{"source", "text", true, "Where the first of them came from: hit (this node had it), peer (another node), miss (the origin), pass (the origin, nothing stored) or none."},
		{"hit_bytes", "number", true, "Bytes of the body that this node had."},
		{"peer_bytes", "number", true, "Bytes that came from another node for this request."},
		{"miss_bytes", "number", true, "Bytes that this node fetched from the origin for this request."},
		{"collapsed", "true or false", true, "The first bytes came by a fill that another request had begun."},
		{"first_byte_ms", "number", true, "Milliseconds from the head to the first byte of content; 0 where none was sent."},
		{"duration_ms", "number", true, "Milliseconds from the head to the end of the answer."},
		{"user_agent", "text", true, "The client's User-Agent, cut after 256 bytes."},
		{"cut", "text", false, "Why the answer ended early: client (it went away or took too little), upstream (no bytes came), storage (a drive gave none), version (a resume of a version that is held nowhere any more)."},
		{"error", "text", false, "What went wrong, for a person."},
	}
}

const (
	// logBuffer is how many bytes of lines are collected before they are
	// written, logDelay how long they may wait.
	logBuffer = 32 << 10
	logDelay  = 100 * time.Millisecond
	// logBound is how many bytes wait for a writer that takes none; lines over
	// it are lost, and counted.
	logBound = 1 << 20
	// logEnd is how long the end of Run waits for such a writer.
	logEnd = time.Second
)

// accessLog writes one JSON object per response to w. It is safe for concurrent
// use; whoever makes a response never waits for w.
type accessLog struct {
	w     io.Writer
	lost  prometheus.Counter
	lines sync.Pool // of *[]byte

	mu      sync.Mutex // guards what follows
	waiting []byte
	spare   []byte
	timer   *time.Timer   // runs while lines wait
	writing chan struct{} // closed when the write in progress has ended; nil = there is none
}

func newAccessLog(w io.Writer, lost prometheus.Counter) *accessLog {
	if w == nil {
		return nil
	}
	return &accessLog{w: w, lost: lost, lines: sync.Pool{New: func() any { b := make([]byte, 0, 1024); return &b }}}
}

func (l *accessLog) write(d *delivery, r *http.Request, host, path string, took time.Duration) {
	p := l.lines.Get().(*[]byte)
	b := appendLine((*p)[:0], d, r, host, path, took)
	l.add(b)
	*p = b
	l.lines.Put(p)
}

// add takes a line in, and has written what waits when that is enough.
func (l *accessLog) add(line []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting)+len(line) > logBound {
		l.lost.Inc()
		return
	}
	l.waiting = append(l.waiting, line...)
	switch {
	case l.writing != nil: // it goes on with these lines
	case len(l.waiting) >= logBuffer:
		l.begin()
	case l.timer == nil:
		l.timer = time.AfterFunc(logDelay, func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.begin()
		})
	}
}

// begin has written what waits, unless that goes on already. mu is held.
func (l *accessLog) begin() {
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
	if l.writing == nil && len(l.waiting) > 0 {
		l.writing = make(chan struct{})
		go l.writeAll()
	}
}

// writeAll writes until nothing waits. A writer that fails loses lines, never a
// response.
func (l *accessLog) writeAll() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.waiting) > 0 {
		b := l.waiting
		l.waiting = l.spare[:0]
		l.mu.Unlock()
		_, _ = l.w.Write(b)
		l.mu.Lock()
		if l.spare = b; cap(b) > 4*logBuffer {
			l.spare = nil
		}
	}
	close(l.writing)
	l.writing = nil
}

// flush writes what waits, and gives up on a writer that takes nothing.
func (l *accessLog) flush() {
	if l == nil {
		return
	}
	l.mu.Lock()
	l.begin()
	writing := l.writing
	l.mu.Unlock()
	if writing == nil {
		return
	}
	end := time.NewTimer(logEnd)
	defer end.Stop()
	select {
	case <-writing:
	case <-end.C:
	}
}

// appendLine appends the line of d, with the fields of AccessFields in order.
func appendLine(b []byte, d *delivery, r *http.Request, host, path string, took time.Duration) []byte {
	var origin, product string
	if d.rule != nil {
		origin, product = d.rule.Name, d.rule.Product
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	client := d.client
	b = append(b, `{"time":"`...)
	b = d.start.UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z07:00")
	b = append(b, `","client":"`...)
	if client.IsValid() {
		b = client.AppendTo(b)
	}
	b = append(b, `","subnet":"`...)
	if client.IsValid() {
		b = subnetOf(client).AppendTo(b)
	}
	b = append(b, '"')
	b = appendText(b, "method", short(r.Method, 32))
	b = appendText(b, "scheme", scheme)
	b = appendText(b, "origin", origin)
	b = appendText(b, "product", product)
	b = appendText(b, "host", short(host, 256))
	b = appendText(b, "path", short(path, 2048))
	b = appendText(b, "range", lastRange(r))
	b = appendNumber(b, "status", int64(d.status))
	b = appendNumber(b, "bytes", d.sent)
	b = appendText(b, "source", d.kind().String())
	b = appendNumber(b, "hit_bytes", d.bytes[storage.SourceDisk])
	b = appendNumber(b, "peer_bytes", d.bytes[storage.SourcePeer])
	b = appendNumber(b, "miss_bytes", d.bytes[storage.SourceOrigin])
	b = append(b, `,"collapsed":`...)
	b = strconv.AppendBool(b, d.collapsed)
	b = appendMilliseconds(b, "first_byte_ms", d.firstByte)
	b = appendMilliseconds(b, "duration_ms", took)
	b = appendText(b, "user_agent", short(r.UserAgent(), 256))
	if d.cut != "" {
		b = appendText(b, "cut", d.cut)
	}
	if d.err != nil {
		b = appendText(b, "error", d.err.Error())
	}
	return append(b, "}\n"...)
}

// clientAddr reads the address of RemoteAddr; the zero value where it is none.
func clientAddr(remote string) netip.Addr {
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr().Unmap().WithZone("")
}

// subnetOf returns the network that addr counts for.
func subnetOf(addr netip.Addr) netip.Prefix {
	bits := 64
	if addr.Is4() {
		bits = 24
	}
	p, err := addr.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// lastRange returns the Range line that counts, short enough for a log.
func lastRange(r *http.Request) string {
	lines := r.Header["Range"]
	if len(lines) == 0 {
		return ""
	}
	return short(lines[len(lines)-1], 128)
}

// short cuts what a client can make as long as its head.
func short(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return s[:limit] + "..."
}
