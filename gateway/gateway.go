package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mccd/mccd/gateway/http1"
	"github.com/mccd/mccd/storage"
)

// Catalogue tells which origins this cluster serves. Lookup is called with a
// valid name in lower case, without port and trailing dot, from any goroutine.
type Catalogue interface {
	Lookup(host string) (*storage.Rule, bool)
}

// Source gives objects. Open finds the object's current version and prepares
// its delivery from req.First on; with req.HeadOnly it fills no bytes. Errors
// are those of package storage; everything else counts as the node's own
// trouble. It is safe for concurrent use.
type Source interface {
	Open(ctx context.Context, req storage.Request) (Content, error)
}

// Content is one version of an object, open for one response. It is used by
// one goroutine at a time.
type Content interface {
	// Object is immutable for the life of the content.
	Object() *storage.Object
	// Next waits until the object's byte span.Off is present and returns a run
	// of verified bytes that begins there, at most span.Len() long. The run is
	// valid until the next call of Next or Close. It fills what is missing.
	Next(ctx context.Context, span storage.Span) (storage.Run, error)
	// Close releases the content; it is called exactly once.
	Close()
}

// Passer sends a request on to its origin without storing anything. The body
// of the answer is closed by the caller. A nil Passer in Config refuses what
// would have to be passed.
type Passer interface {
	Pass(ctx context.Context, method string, ref storage.Ref, rule *storage.Rule, header http.Header, body io.Reader) (*http.Response, error)
}

// Config is what a Gateway is made of. Catalogue, Source and NodeName are
// needed; every zero duration, number and interface stands for its default.
type Config struct {
	Catalogue Catalogue
	Source    Source
	Pass      Passer

	// NodeName is this node's name in Cache-Status and Via: letters, digits,
	// "-", "." and "_". NodeID goes out as X-CID; empty: NodeName.
	NodeName, NodeID string
	// Zone is where the node stands, and goes out as X-CCC, where Microsoft's
	// node tells its country. Default "none".
	Zone string
	// LoopNames are further names that, seen in a request's Via, prove a loop
	// (what storage/origin sends upstream). NodeName is always one.
	LoopNames []string
	// Cluster returns the cluster's name that, seen in a request's CDN-Loop (RFC
	// 8586), proves that two clusters name each other as parents. Nil: none.
	Cluster func() string

	// Listeners take http clients, TLSListeners https clients. The gateway owns
	// them from New on and closes them at the end of Run. Zero-copy delivery
	// needs *net.TCPListener.
	Listeners    []net.Listener
	TLSListeners []net.Listener
	// Credentials gives those of https clients: asked for each connection, and
	// answered at once, with the same pointer while nothing has changed; nil =
	// there are none now, and handshakes fail.
	Credentials func() *Credentials
	// HTTP2 offers it to https clients. Its header names are in lower case,
	// which Delivery Optimization Lite does not understand (docs/clients.md
	// section 4).
	HTTP2 bool

	// FirstByte bounds how long a client waits without a byte before it gets
	// 503, or, in mid-body, a close. Default 10 s.
	FirstByte time.Duration
	// ReadHeader bounds the reading of one request's head, Idle a silent
	// keep-alive connection. Defaults 10 s and 75 s.
	ReadHeader, Idle time.Duration
	// MaxHeaderBytes bounds a request's head. Default 32 KiB; net/http allows
	// 4 KiB more and answers 431.
	MaxHeaderBytes int
	// MaxConns bounds the open connections; one more gets a fast 503. Default
	// 8192.
	MaxConns int
	// A client that takes fewer than SlowBytes within SlowWindow, while bytes
	// wait for it, is closed. Defaults 16 KiB and 30 s.
	SlowWindow time.Duration
	SlowBytes  int64
	// ProxyProtocol are the balancers whose connections begin with a header of
	// PROXY protocol 1 or 2, and are closed without one; of all others it is
	// bad input. TrustedForwarders are those whose X-Forwarded-For, or without
	// it Forwarded, tells the client's address. nil: none.
	ProxyProtocol, TrustedForwarders []netip.Prefix
	// AllowClients are the clients that are served, beside this machine itself;
	// nil: all.
	AllowClients []netip.Prefix
	// Egress bounds the bytes of bodies per second that leave for clients;
	// clients share it evenly, and a response more than gets 8 KiB per second is
	// refused with 503. 0: no bound.
	Egress int64
	// Summary gives what /summary answers at a Host that is no origin: JSON.
	// Nil: nothing is there.
	Summary func() []byte
	// Grace is how long Run waits for responses in flight. Default 30 s.
	Grace time.Duration
	// Draining tells that the node is about to stop: answers then carry
	// Connection: close. Nil: never.
	Draining func() bool

	// Logger gets what operators should know; nil discards. AccessLog gets one
	// line per response (AccessFields), some of them in one Write, at most a
	// tenth of a second late; nil: none is written.
	Logger     *slog.Logger
	AccessLog  io.Writer
	Registerer prometheus.Registerer
	// Now is the clock of Age and of the log; nil: time.Now.
	Now func() time.Time
}

func (c *Config) setDefaults() {
	setDefault(&c.FirstByte, 10*time.Second)
	setDefault(&c.ReadHeader, 10*time.Second)
	setDefault(&c.Idle, 75*time.Second)
	setDefault(&c.SlowWindow, 30*time.Second)
	setDefault(&c.Grace, 30*time.Second)
	setDefault(&c.MaxHeaderBytes, 32<<10)
	setDefault(&c.MaxConns, 8192)
	setDefault(&c.SlowBytes, 16<<10)
	setDefault(&c.NodeID, c.NodeName)
	setDefault(&c.Zone, "none")
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Cluster == nil {
		c.Cluster = func() string { return "" }
	}
	if c.Draining == nil {
		c.Draining = func() bool { return false }
	}
}

func setDefault[T comparable](p *T, value T) {
	var zero T
	if *p == zero {
		*p = value
	}
}

func (c *Config) validate() error {
	var faults []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			faults = append(faults, fmt.Errorf("gateway: "+format, args...))
		}
	}
	fault(c.Catalogue == nil, "no catalogue")
	fault(c.Source == nil, "no source")
	fault(!nodeName(c.NodeName), "node name %q: letters, digits, \"-\", \".\" and \"_\" only", c.NodeName)
	fault(!nodeName(c.NodeID), "node id %q: letters, digits, \"-\", \".\" and \"_\" only", c.NodeID)
	fault(!nodeName(c.Zone), "zone %q: letters, digits, \"-\", \".\" and \"_\" only", c.Zone)
	fault(len(c.Listeners)+len(c.TLSListeners) == 0, "no listener")
	fault(len(c.TLSListeners) > 0 && c.Credentials == nil, "TLS listeners without credentials")
	for name, d := range map[string]time.Duration{"first byte": c.FirstByte, "read header": c.ReadHeader,
		"idle": c.Idle, "slow window": c.SlowWindow, "grace": c.Grace} {
		fault(d < 0, "%s time of %s is negative", name, d)
	}
	fault(c.Egress < 0 || c.MaxConns < 0 || c.MaxHeaderBytes < 0 || c.SlowBytes < 0, "a limit is negative")
	return errors.Join(faults...)
}

func nodeName(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._") == ""
}

// Gateway is the client side of one node.
type Gateway struct {
	cfg       Config
	loop      *http1.Server // all clients
	server    *http.Server  // what the loop hands over
	handed    *handed
	listeners []*listener
	metrics   *metrics
	access    *accessLog // nil: none is written
	totals    totals
	flying    inflight
	buffers   buffers
	unstored  passMemory
	parts     parts
	egress    *egress // nil: no bound
	// introductions is nil where no balancer is listed.
	introductions *introductions
	self          string // this node as a member of Cache-Status
	values        fixedValues
	loopNames     []string // lower case
}

// New validates cfg, reporting every fault at once, and starts nothing.
func New(cfg Config) (*Gateway, error) {
	cfg.setDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	g := &Gateway{
		cfg:     cfg,
		metrics: newMetrics(cfg.Registerer),
		self:    cacheStatusName(cfg.NodeName),
	}
	g.egress = newEgress(cfg.Egress, g.metrics.egressWaits)
	if len(cfg.ProxyProtocol) > 0 {
		g.introductions = &introductions{prefixes: cfg.ProxyProtocol, metrics: g.metrics, logger: cfg.Logger}
	}
	g.access = newAccessLog(cfg.AccessLog, g.metrics.logLost)
	for _, name := range append([]string{cfg.NodeName}, cfg.LoopNames...) {
		g.loopNames = append(g.loopNames, strings.ToLower(name))
	}
	g.values = newFixedValues(cfg, g.self)
	g.flying.gauge = g.metrics.inFlight
	bound := &connBound{limit: int64(cfg.MaxConns), metrics: g.metrics}
	for _, l := range cfg.Listeners {
		g.listeners = append(g.listeners, g.newListener(l, bound, nil))
	}
	if len(cfg.TLSListeners) > 0 {
		s := &secrets{from: cfg.Credentials, http2: cfg.HTTP2}
		for _, l := range cfg.TLSListeners {
			g.listeners = append(g.listeners, g.newListener(l, bound, s))
		}
	}
	g.server = g.newServer()
	g.handed = newHanded(g.Addr())
	var err error
	g.loop, err = http1.New(http1.Config{
		Handler: g.server.Handler, HandOver: g.handed.take, ConnContext: g.server.ConnContext,
		ReadHeader: cfg.ReadHeader, Idle: cfg.Idle, Logger: cfg.Logger,
	})
	return g, err
}

// Addrs returns the addresses that clients are served at, http first.
func (g *Gateway) Addrs() []net.Addr {
	addrs := make([]net.Addr, len(g.listeners))
	for i, l := range g.listeners {
		addrs[i] = l.Addr()
	}
	return addrs
}

// Addr returns the first of Addrs.
func (g *Gateway) Addr() net.Addr { return g.listeners[0].Addr() }
