package gateway

import (
	"net/http"
	"net/netip"
	"time"

	"github.com/mccd/mccd/storage"
)

// Why a response ended before its last byte.
const (
	cutClient   = "client"   // it went away, or took too little
	cutUpstream = "upstream" // the fill failed or gave nothing in time
	cutStorage  = "storage"  // a chunk file could not be sent
	cutVersion  = "version"  // the version that a client resumes is held nowhere any more
)

// delivery is the record of one response. Metrics and the access log are made
// of it, so that both tell the same.
type delivery struct {
	start  time.Time
	client netip.Addr // the zero Addr: not known
	status int
	// rule is nil where no origin of the catalogue was named.
	rule *storage.Rule
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

// kind is what the labels source tells: a storage.Source, or one of those
// below.
type kind uint8

const (
	kindPass = kind(storage.SourceOrigin) + 1 + iota // passed through, nothing stored
	kindNone                                         // no byte of an object
	kinds                                            // how many there are
)

func (k kind) String() string {
	switch k {
	case kindPass:
		return "pass"
	case kindNone:
		return "none"
	default:
		return storage.Source(k).String()
	}
}

// kind tells where the answer's first byte came from.
func (d *delivery) kind() kind {
	switch {
	case d.passed:
		return kindPass
	case d.content:
		return kind(d.from)
	default:
		return kindNone
	}
}

// finish books d, once per response. r's query is not used.
func (g *Gateway) finish(d *delivery, r *http.Request, host, path string) {
	k := d.kind()
	s := g.metrics.of(d.rule)
	s.request(d.status, k).Inc()
	g.totals.requests.Add(1)
	if d.cut != "" {
		g.metrics.ends.WithLabelValues(d.cut).Inc()
	}
	if d.collapsed {
		s.collapsed.Inc()
	}
	if d.firstByte > 0 {
		g.metrics.firstByte[k].Observe(d.firstByte.Seconds())
	}
	if d.passed {
		g.totals.passed.Add(d.sent)
		s.bytes[kindPass].Add(float64(d.sent))
	}
	for from, n := range d.bytes {
		if n > 0 {
			g.totals.bytes[from].Add(n)
			s.bytes[from].Add(float64(n))
		}
	}
	if g.access != nil {
		g.access.write(d, r, host, path, g.cfg.Now().Sub(d.start))
	}
}
