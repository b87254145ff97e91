package gateway

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/mccd/mccd/storage"
)

// Why a response ended before its last byte.
const (
	cutClient   = "client"   // it went away, or took too little
	cutUpstream = "upstream" // the fill failed or gave nothing in time
	cutStorage  = "storage"  // a chunk file could not be sent
)

// delivery is the record of one response. It feeds metrics and access log.
type delivery struct {
	start  time.Time
	status int
	rule   string
	// from is the source of the first byte; meaningful when sent is positive
	// or content is set.
	from      storage.Source
	content   bool // the answer is of an object, not a refusal
	collapsed bool
	passed    bool
	sent      int64
	bytes     [storage.SourceOrigin + 1]int64
	firstByte time.Duration // 0: none was sent
	cut       string        // one of the constants above, or empty
	err       error         // why; never holds a query
}

func (d *delivery) source() string {
	switch {
	case d.passed:
		return "pass"
	case d.content:
		return d.from.String()
	default:
		return "none"
	}
}

// finish books d. r's query is not used.
func (g *Gateway) finish(d *delivery, r *http.Request, host, path string) {
	took := g.cfg.Now().Sub(d.start)
	source := d.source()
	m := g.metrics
	m.requests.WithLabelValues(d.rule, statusClass(d.status), source).Inc()
	g.totals.requests.Add(1)
	if d.cut != "" {
		m.ends.WithLabelValues(d.cut).Inc()
	}
	if d.firstByte > 0 {
		m.firstByte.WithLabelValues(source).Observe(d.firstByte.Seconds())
	}
	if d.passed {
		g.totals.passed.Add(d.sent)
		m.bytes.WithLabelValues(d.rule, source).Add(float64(d.sent))
	}
	for from, n := range d.bytes {
		if n > 0 {
			g.totals.bytes[from].Add(n)
			m.bytes.WithLabelValues(d.rule, storage.Source(from).String()).Add(float64(n))
		}
	}
	log := g.cfg.AccessLog
	if log == nil {
		return
	}
	attrs := make([]slog.Attr, 0, 20)
	attrs = append(attrs,
		slog.String("client", r.RemoteAddr),
		slog.String("method", r.Method),
		slog.String("rule", d.rule),
		slog.String("host", host),
		slog.String("path", short(path, 2048)),
		slog.Int("status", d.status),
		slog.String("range", lastRange(r)),
		slog.Int64("bytes", d.sent),
		slog.String("source", source),
		slog.Int64("hit_bytes", d.bytes[storage.SourceDisk]),
		slog.Int64("peer_bytes", d.bytes[storage.SourcePeer]),
		slog.Int64("miss_bytes", d.bytes[storage.SourceOrigin]),
		slog.Bool("collapsed", d.collapsed),
		slog.Float64("first_byte_ms", milliseconds(d.firstByte)),
		slog.Float64("duration_ms", milliseconds(took)),
		slog.String("user_agent", short(r.UserAgent(), 256)),
	)
	if d.cut != "" {
		attrs = append(attrs, slog.String("cut", d.cut))
	}
	if d.err != nil {
		attrs = append(attrs, slog.String("error", d.err.Error()))
	}
	log.LogAttrs(context.Background(), slog.LevelInfo, "request", attrs...)
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

func milliseconds(d time.Duration) float64 {
	return float64(d.Round(time.Microsecond)) / float64(time.Millisecond)
}

func statusClass(status int) string {
	switch status / 100 {
	case 2:
		return "2xx"
	case 3:
		return "3xx"
	case 4:
		return "4xx"
	case 5:
		return "5xx"
	default:
		return "none"
	}
}
