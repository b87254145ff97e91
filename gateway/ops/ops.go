package ops

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// DefaultAddr is where operators look for a node unless it is configured
// otherwise.
const DefaultAddr = "127.0.0.1:7980"

// Probe tells in an error's text why a part is not well; nil: it is.
type Probe func(ctx context.Context) error

// Summary is what /summary shows, in the words that operators of Microsoft
// Connected Cache know (docs/clients.md section 6). All are bytes since the
// start but the last.
type Summary struct {
	// HitBytes did not come from an origin, MissBytes did.
	HitBytes  int64 `json:"hitBytes"`
	MissBytes int64 `json:"missBytes"`
	// EgressBytes went to clients.
	EgressBytes int64 `json:"egressBytes"`
	// HitRatioBytes is HitBytes of both, 0 to 1; 0 while nothing was served.
	// The server computes it.
	HitRatioBytes float64 `json:"hitRatioBytes"`
}

// Config is what a Server is made of. Listener is needed; the server owns it.
type Config struct {
	Listener net.Listener
	// Gatherer gives /metrics; nil: an empty page.
	Gatherer prometheus.Gatherer
	// Health are the probes of /healthz: a failure means that only a restart
	// helps. Ready are those of /readyz: a failure takes the node out of DNS or
	// a load balancer. Both by name; none: always well.
	Health, Ready map[string]Probe
	// Summary gives /summary; nil: zeros.
	Summary func() Summary
	// Node is shown on the index page.
	Node string
	// ProbeTime bounds all probes of one request; 0: 2 s.
	ProbeTime time.Duration
	Logger    *slog.Logger
}

// Server is the operators' server of one node.
type Server struct {
	cfg    Config
	server *http.Server
}

// New validates cfg and starts nothing.
func New(cfg Config) (*Server, error) {
	if cfg.Listener == nil {
		return nil, errors.New("ops: no listener")
	}
	if cfg.ProbeTime < 0 {
		return nil, fmt.Errorf("ops: probe time %s is negative", cfg.ProbeTime)
	}
	if cfg.ProbeTime == 0 {
		cfg.ProbeTime = 2 * time.Second
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Gatherer == nil {
		cfg.Gatherer = prometheus.NewRegistry()
	}
	if cfg.Summary == nil {
		cfg.Summary = func() Summary { return Summary{} }
	}
	s := &Server{cfg: cfg}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.index)
	mux.Handle("GET /metrics", promhttp.HandlerFor(cfg.Gatherer, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	mux.HandleFunc("GET /healthz", s.probe(cfg.Health))
	mux.HandleFunc("GET /readyz", s.probe(cfg.Ready))
	mux.HandleFunc("GET /summary", s.summary)
	s.server = &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          log.New(debugLog{cfg.Logger}, "", 0),
	}
	return s, nil
}

// debugLog takes net/http's own lines.
type debugLog struct{ logger *slog.Logger }

func (l debugLog) Write(p []byte) (int, error) {
	l.logger.Debug("operators' http server", "line", string(p))
	return len(p), nil
}

// Addr returns the address that is served.
func (s *Server) Addr() net.Addr { return s.cfg.Listener.Addr() }

// Run serves until ctx ends, finishes what is in flight within a second, and
// returns nil. It is called once.
func (s *Server) Run(ctx context.Context) error {
	failed := make(chan error, 1)
	go func() { failed <- s.server.Serve(s.cfg.Listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve operators at %s: %w", s.Addr(), err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := s.server.Shutdown(grace); err != nil {
		_ = s.server.Close()
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		s.cfg.Logger.Warn("operators' http server ended", "error", err)
	}
	return nil
}

// Close closes the listener of a Server that was never run.
func (s *Server) Close() error {
	if err := s.cfg.Listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

func (s *Server) index(w http.ResponseWriter, _ *http.Request) {
	text(w, http.StatusOK, "mccd "+s.cfg.Node+`

/healthz   is the process well (200, or 503 with the reasons)
/readyz    should clients be sent here (200, or 503 with the reasons)
/metrics   for Prometheus
/summary   bytes served, as JSON
`)
}

func (s *Server) summary(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(s.cfg.Summary().JSON())
}

// JSON returns s, with its ratio computed, as one line.
func (s Summary) JSON() []byte {
	s.HitRatioBytes = 0
	if all := s.HitBytes + s.MissBytes; all > 0 {
		s.HitRatioBytes = float64(s.HitBytes) / float64(all)
	}
	body, err := json.Marshal(s)
	if err != nil {
		return []byte("{}\n") // there is no number that JSON cannot write
	}
	return append(body, '\n')
}

func text(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body))
}
