package faultorigin

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"time"
)

// Config says what a Server serves, and where.
type Config struct {
	// Addr is where to listen; "" = 127.0.0.1:0. Listener takes its place.
	Addr     string
	Listener net.Listener
	// TLS serves https with a certificate of its own authority
	// (Server.CertPool) for Names, localhost and 127.0.0.1.
	TLS   bool
	Names []string
	// Objects are served by their raw paths; more may be added later.
	Objects []Object
	// Dir is a folder whose files are served where no object has the path; ""
	// = none.
	Dir string
	// Rate bounds all bodies together in bytes/s; 0 = none.
	Rate int64
	// Choose, if set, gives the behaviour of the n-th request at a path, n from
	// 1, that no script is set for. It may be called concurrently.
	Choose func(path string, n int) Behaviour
	// Observe, if set, is told of each event, by the goroutine that serves the
	// request and before it goes on. It may be called concurrently.
	Observe func(Event)
}

// EventKind says what happened.
type EventKind uint8

// The kinds of event, in the order of one request's life.
const (
	// Began: the head of a request was read.
	Began EventKind = iota + 1
	// FirstByte: the first bytes of a body were written.
	FirstByte
	// Finished: the answer has ended, well or not.
	Finished
)

// Event tells an observer what happened to request N (Entry.N) at Path.
type Event struct {
	Kind EventKind
	N    int
	Path string
}

// Server is the scripted CDN. It is safe for concurrent use.
type Server struct {
	cfg    Config
	ledger *Ledger
	root   *os.Root
	rate   *pace
	ctx    context.Context // ends with Close
	cancel context.CancelCauseFunc
	stop   sync.Once

	mu      sync.Mutex // guards objects and scripts
	objects map[string]Object
	scripts map[string][]Behaviour

	listener net.Listener
	http     *http.Server
	served   chan struct{}
	pool     *x509.CertPool
	cert     []byte // DER
}

// NewHandler returns a Server that does not listen: an http.Handler with its
// script and ledger. Close releases what it holds.
func NewHandler(cfg Config) (*Server, error) {
	s := &Server{
		cfg: cfg, ledger: newLedger(), rate: newPace(cfg.Rate),
		objects: make(map[string]Object), scripts: make(map[string][]Behaviour),
	}
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	s.Add(cfg.Objects...)
	if cfg.Dir != "" {
		root, err := os.OpenRoot(cfg.Dir)
		if err != nil {
			return nil, fmt.Errorf("open folder of real files: %w", err)
		}
		s.root = root
	}
	return s, nil
}

// Listen returns a Server that serves until Close.
func Listen(cfg Config) (*Server, error) {
	s, err := NewHandler(cfg)
	if err != nil {
		return nil, err
	}
	if s.listener = cfg.Listener; s.listener == nil {
		addr := cfg.Addr
		if addr == "" {
			addr = "127.0.0.1:0"
		}
		if s.listener, err = net.Listen("tcp", addr); err != nil {
			s.Close()
			return nil, fmt.Errorf("listen: %w", err)
		}
	}
	serve := s.listener
	if cfg.TLS {
		cert, pool, err := certificate(cfg.Names)
		if err != nil {
			s.listener.Close()
			s.Close()
			return nil, fmt.Errorf("make certificate: %w", err)
		}
		s.pool, s.cert = pool, cert.Certificate[0]
		serve = tls.NewListener(serve, &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"http/1.1"}})
	}
	s.http = &http.Server{Handler: s, ErrorLog: log.New(io.Discard, "", 0), ReadHeaderTimeout: time.Minute}
	s.served = make(chan struct{})
	go func() {
		defer close(s.served)
		_ = s.http.Serve(serve) // always ErrServerClosed or the listener's own end
	}()
	return s, nil
}

// New is Listen for tests: it panics where it cannot listen.
func New(cfg Config) *Server {
	s, err := Listen(cfg)
	if err != nil {
		panic("faultorigin: " + err.Error())
	}
	return s
}

// Close ends every answer and connection and waits for the listener's end.
func (s *Server) Close() {
	s.stop.Do(func() {
		s.cancel(errClosed)
		if s.http != nil {
			_ = s.http.Close()
			<-s.served
			s.idle()
		}
		if s.root != nil {
			s.root.Close()
		}
	})
}

// idle waits, for a few seconds at most, until every answer has ended.
func (s *Server) idle() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = s.ledger.Wait(ctx, "", func(es []Entry) bool {
		for i := range es {
			if !es[i].Done {
				return false
			}
		}
		return true
	})
}

// Addr returns the address that the server listens on, as "host:port".
func (s *Server) Addr() string { return s.listener.Addr().String() }

// AddrPort returns Addr as a value.
func (s *Server) AddrPort() netip.AddrPort { return netip.MustParseAddrPort(s.Addr()) }

// Port returns the port that the server listens on.
func (s *Server) Port() int { return int(s.AddrPort().Port()) }

// URL returns "http://host:port" or "https://host:port".
func (s *Server) URL() string {
	if s.cfg.TLS {
		return "https://" + s.Addr()
	}
	return "http://" + s.Addr()
}

// CertPool returns the authority of the server's certificate; nil without TLS.
func (s *Server) CertPool() *x509.CertPool { return s.pool }

// CertificatePEM returns what CertPool trusts, as a file; nil without TLS.
func (s *Server) CertificatePEM() []byte {
	if s.cert == nil {
		return nil
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.cert})
}

// Ledger returns the server's ledger.
func (s *Server) Ledger() *Ledger { return s.ledger }

// Add adds objects, in place of those with the same paths.
func (s *Server) Add(objects ...Object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range objects {
		s.objects[o.Path] = o
	}
}

// Remove makes path unknown (404).
func (s *Server) Remove(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.objects, path)
}

// SetVersion changes the version of the object at path, from the next request
// on; it reports whether there is one.
func (s *Server) SetVersion(path, version string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := s.objects[path]
	o.Version = version
	if ok {
		s.objects[path] = o
	}
	return ok
}

// Script sets what requests at path get, in place of what was set before; the
// first behaviour that applies counts. AnyPath scripts all other paths.
func (s *Server) Script(path string, behaviours ...Behaviour) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scripts[path] = behaviours
}

func (s *Server) behaviour(path string, n int) Behaviour {
	s.mu.Lock()
	defer s.mu.Unlock()
	script, ok := s.scripts[path]
	if !ok {
		script, ok = s.scripts[AnyPath]
	}
	if !ok && s.cfg.Choose != nil {
		return s.cfg.Choose(path, n)
	}
	for _, b := range script {
		if b.applies(n) {
			return b
		}
	}
	return Behaviour{}
}

func (s *Server) entity(path, version string) *entity {
	s.mu.Lock()
	o, ok := s.objects[path]
	s.mu.Unlock()
	if ok {
		return o.entity(version)
	}
	if s.root != nil {
		return file(s.root, path)
	}
	return nil
}

// errClosed ends answers when the server is closed.
var errClosed = errors.New("server closed")
