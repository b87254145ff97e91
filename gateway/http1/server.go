package http1

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// ErrClosed is what Serve returns after Shutdown or Close.
var ErrClosed = errors.New("http1: server closed")

// Config is what a Server is made of. Handler and HandOver are needed.
type Config struct {
	// Connections that have a Handshake and a ConnectionState, as *tls.Conn has,
	// shake hands first, within ReadHeader; HTTP/2 is handed over then.
	//
	// Handler answers the requests. Its request and response are used again
	// for the connection's next request once it returns; the request's strings
	// may be kept. The context of a request begins to watch for the client's
	// going away when its Done is first called, and the response sends no 1xx.
	Handler http.Handler
	// HandOver takes a connection whose next request is for net/http to read,
	// and what was read of it; it owns both from then on and does not block.
	HandOver func(c net.Conn, ahead []byte)
	// ConnContext gives the context of a connection's requests; nil: as is.
	ConnContext func(ctx context.Context, c net.Conn) context.Context
	// ReadHeader bounds the reading of a head, from the connection's beginning
	// or the head's first byte on; Idle the wait for that byte between two
	// requests. 0: unbounded.
	ReadHeader, Idle time.Duration
	// Logger gets the panics of Handler; nil discards.
	Logger *slog.Logger
}

// Server serves connections. Its methods are safe for concurrent use.
type Server struct {
	cfg Config
	// draining: answers say close, and no connection is kept for another.
	draining atomic.Bool
	heads    sync.Pool // *[]byte, for the heads of responses
	date     atomic.Pointer[date]

	mu        sync.Mutex // guards the rest
	listeners map[net.Listener]struct{}
	conns     map[*conn]struct{}
	closed    bool          // no more connections
	empty     chan struct{} // closed when conns is empty; nil while nobody waits
	running   sync.WaitGroup
}

// unbounded is longer than any connection.
const unbounded = 100 * 365 * 24 * time.Hour

// New validates cfg and starts nothing.
func New(cfg Config) (*Server, error) {
	if cfg.Handler == nil || cfg.HandOver == nil {
		return nil, errors.New("http1: a handler and a way to hand over are needed")
	}
	for _, limit := range []*time.Duration{&cfg.ReadHeader, &cfg.Idle} {
		if *limit <= 0 {
			*limit = unbounded
		}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Server{cfg: cfg, listeners: map[net.Listener]struct{}{}, conns: map[*conn]struct{}{}}, nil
}

// Serve takes connections from l and serves each in a goroutine, under ctx, whose
// end ends all that its requests wait for. It closes l and returns when l fails,
// ErrClosed after Shutdown or Close.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	defer func() { _ = l.Close() }()
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return ErrClosed
	}
	s.listeners[l] = struct{}{}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.listeners, l)
		s.mu.Unlock()
	}()
	var pause time.Duration
	for {
		rwc, err := l.Accept()
		if err == nil {
			pause = 0
			s.ServeConn(ctx, rwc)
			continue
		}
		s.mu.Lock()
		closed := s.closed
		s.mu.Unlock()
		switch temporary, ok := errors.AsType[net.Error](err); {
		case closed:
			return ErrClosed
		case !ok || !temporary.Temporary(): //nolint:staticcheck // what net/http goes by: descriptors that run out come back
			return fmt.Errorf("accept: %w", err)
		}
		pause = min(max(2*pause, 5*time.Millisecond), time.Second)
		s.cfg.Logger.Error("accept connection", "error", err, "again_in", pause)
		wait := time.NewTimer(pause)
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return ctx.Err()
		}
	}
}

// ServeConn serves one connection in a goroutine and closes it at its end.
func (s *Server) ServeConn(ctx context.Context, rwc net.Conn) {
	c := newConn(ctx, s, rwc)
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		_ = rwc.Close()
		return
	}
	s.conns[c] = struct{}{}
	s.running.Add(1)
	s.mu.Unlock()
	go c.serve()
}

// forget takes c out of the books.
func (s *Server) forget(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	if len(s.conns) == 0 && s.empty != nil {
		close(s.empty)
		s.empty = nil
	}
}

// Drain lets every connection end with the answer under way: those that wait
// for a request are closed at once, those that never sent one after a second.
func (s *Server) Drain() {
	s.draining.Store(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.drain()
	}
}

// Shutdown drains, closes the listeners, and waits for all connections to end;
// ctx's error when that ends first.
func (s *Server) Shutdown(ctx context.Context) error {
	s.Drain()
	s.mu.Lock()
	s.close()
	if len(s.conns) == 0 {
		s.mu.Unlock()
		return nil
	}
	if s.empty == nil {
		s.empty = make(chan struct{})
	}
	empty := s.empty
	s.mu.Unlock()
	select {
	case <-empty:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// close closes the listeners; mu is held.
func (s *Server) close() {
	s.closed = true
	for l := range s.listeners {
		_ = l.Close()
	}
}

// Close closes the listeners and cuts all connections, and returns when their
// goroutines have ended: the handlers under way must return.
func (s *Server) Close() {
	s.draining.Store(true)
	s.mu.Lock()
	s.close()
	for c := range s.conns {
		c.cut()
	}
	s.mu.Unlock()
	s.running.Wait()
}
