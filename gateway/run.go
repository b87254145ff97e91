package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mccd/mccd/gateway/http1"
)

// Run serves until ctx ends, then drains: it answers new connections with 503,
// tells clients to close, waits for responses in flight up to Config.Grace and
// cuts the rest. It returns nil after a drain and owns every goroutine it
// starts. It is called once.
func (g *Gateway) Run(ctx context.Context) error {
	defer g.access.flush()
	hard, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	g.server.BaseContext = func(net.Listener) context.Context { return hard }

	serving := make([]func() error, 0, len(g.listeners)+1)
	for _, l := range g.listeners {
		serving = append(serving, func() error { return g.loop.Serve(hard, l) })
	}
	serving = append(serving, func() error { return g.server.Serve(g.handed) })
	failed := make(chan error, len(serving))
	for _, serve := range serving {
		go func() { failed <- serve() }()
	}
	var err error
	ended := 0
	select {
	case <-ctx.Done():
	case err = <-failed:
		ended++
	}

	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), g.cfg.Grace)
	defer cancel()
	for _, l := range g.listeners {
		l.draining.Store(true)
	}
	g.server.SetKeepAlivesEnabled(false)
	g.loop.Drain()
	select { // Shutdown closes the listeners before it waits
	case <-g.flying.none():
	case <-grace.Done():
	}
	if left := errors.Join(g.loop.Shutdown(grace), g.server.Shutdown(grace)); left != nil {
		g.cfg.Logger.Warn("responses cut at the end of the grace", "grace", g.cfg.Grace)
	}
	cut()
	if closeErr := g.server.Close(); closeErr != nil {
		g.cfg.Logger.Warn("close client listeners", "error", closeErr)
	}
	g.loop.Close()
	for ; ended < len(serving); ended++ {
		if late := <-failed; err == nil && !errors.Is(late, http.ErrServerClosed) && !errors.Is(late, http1.ErrClosed) {
			err = late
		}
	}
	for _, l := range g.listeners {
		l.wait()
	}
	<-g.flying.none()
	if err != nil {
		return fmt.Errorf("serve clients: %w", err)
	}
	return nil
}

// Close closes the listeners of a Gateway that was never run.
func (g *Gateway) Close() error {
	var errs []error
	for _, l := range g.listeners {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (g *Gateway) newServer() *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(g.cfg.HTTP2)
	return &http.Server{
		Handler:                      http.HandlerFunc(g.serveHTTP),
		DisableGeneralOptionsHandler: true,
		ReadHeaderTimeout:            g.cfg.ReadHeader,
		IdleTimeout:                  g.cfg.Idle,
		MaxHeaderBytes:               g.cfg.MaxHeaderBytes,
		Protocols:                    protocols,
		ErrorLog:                     log.New(&serverLog{g.cfg.Logger}, "", 0),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			switch s := c.(type) {
			case *secure:
				c = s.pipe.conn
			case *tls.Conn:
				if p, ok := s.NetConn().(*pipe); ok { // of HTTP/2: its requests share it
					return context.WithValue(ctx, clientKey{}, p.client)
				}
				return ctx
			}
			return context.WithValue(ctx, connKey{}, c)
		},
	}
}

// serverLog takes net/http's own lines: what clients do is debug, a panic is
// not.
type serverLog struct{ logger *slog.Logger }

func (l *serverLog) Write(p []byte) (int, error) {
	line := strings.TrimSpace(string(p))
	level := slog.LevelDebug
	if strings.Contains(line, "panic") || strings.Contains(line, "Accept error") {
		level = slog.LevelError
	}
	l.logger.Log(context.Background(), level, "http server", "line", line)
	return len(p), nil
}

// inflight counts the responses being made; unlike a WaitGroup it may be
// entered while it is waited for.
type inflight struct {
	gauge prometheus.Gauge
	n     atomic.Int64
	// awaited tells that somebody waits, for idle.
	awaited atomic.Bool
	mu      sync.Mutex    // guards idle
	idle    chan struct{} // closed when n falls to 0; nil while nobody waits
}

func (f *inflight) enter() {
	f.gauge.Inc()
	f.n.Add(1)
}

func (f *inflight) leave() {
	f.gauge.Dec()
	if f.n.Add(-1) == 0 && f.awaited.Load() {
		f.wake()
	}
}

func (f *inflight) wake() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.n.Load() == 0 && f.idle != nil {
		close(f.idle)
		f.idle = nil
	}
}

// none returns a channel that is closed when no response is being made.
func (f *inflight) none() <-chan struct{} {
	f.mu.Lock()
	if f.idle == nil {
		f.idle = make(chan struct{})
	}
	idle := f.idle
	f.mu.Unlock()
	f.awaited.Store(true) // before n is read: who leaves after that wakes
	f.wake()
	return idle
}
