package origin

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mccd/mccd/storage"
)

// The defaults of Config.
const (
	DefaultConnect     = 3 * time.Second
	DefaultFirstByte   = 8 * time.Second
	DefaultStall       = 8 * time.Second
	DefaultWait        = 8 * time.Second
	DefaultMaxRequests = 64
	DefaultMaxTotal    = 512
)

const (
	// idleFor is shorter than the 5 s after which the most impatient servers
	// close a kept connection, so that few requests meet a closing one.
	idleFor = 4 * time.Second
	// maxHead bounds the head of an answer.
	maxHead = 64 << 10
	// maxIdle bounds the kept connections to all origins together.
	maxIdle = 512
)

// Config configures a Client. The zero value works: nothing but the origins
// themselves is reached, by their own rules.
type Config struct {
	// Lookup returns the rule of a host (lower case, no port). It decides
	// where redirects may lead; nil: to the same host only.
	Lookup func(host string) (*storage.Rule, bool)
	// Connect bounds DNS and TCP together, and then the TLS handshake;
	// FirstByte the wait for the head of an answer; Stall the silence in a
	// body while it is being read; Wait the wait for a place among an
	// origin's requests. 0 = the default.
	Connect, FirstByte, Stall, Wait time.Duration
	// MaxRequests bounds the requests at one host at one time, where its rule
	// does not; 0 = DefaultMaxRequests.
	MaxRequests int
	// MaxTotal bounds the requests at all hosts together, which take turns; 0 =
	// DefaultMaxTotal.
	MaxTotal int
	// Node is this node's name in Via; "" = "mccd".
	Node string
	// Version is that in User-Agent; "" = "dev".
	Version string
	// Upstream is what is asked in place of origins whose rules do not say, in
	// the form of storage.ParseUpstream; "" = nothing. Bypass are the origins
	// asked directly all the same. UpstreamOnly tells that they are not asked
	// when a parent cache fails.
	Upstream     string
	Bypass       storage.Bypass
	UpstreamOnly bool
	// Credentials are those of proxies, by "host:port". They are sent to that
	// proxy alone.
	Credentials map[string]*url.Userinfo
	// Cluster returns this cluster's name in the CDN-Loop that parent caches
	// get; nil or "" = Node.
	Cluster func() string
	// Spool takes answers of unknown length in profile do, whose clients need
	// one. The zero Spool takes none.
	Spool Spool
	// OwnAddrs are the addresses on which this cluster serves clients: no
	// fetch goes there. An unspecified address stands for all of the
	// machine's own.
	OwnAddrs []netip.AddrPort
	// Resolver resolves names; nil = the system's.
	Resolver *net.Resolver
	// RootCAs check the certificates of https origins; nil = the system's.
	RootCAs *x509.CertPool
	// Logger takes debug messages; nil = none.
	Logger *slog.Logger
	// Registerer takes the metrics; nil = none.
	Registerer prometheus.Registerer
	// Now is the clock by which freshness is judged; nil = time.Now.
	Now func() time.Time
}

func (c *Config) setDefaults() {
	for _, d := range []struct {
		have *time.Duration
		want time.Duration
	}{{&c.Connect, DefaultConnect}, {&c.FirstByte, DefaultFirstByte}, {&c.Stall, DefaultStall}, {&c.Wait, DefaultWait}} {
		if *d.have == 0 {
			*d.have = d.want
		}
	}
	if c.MaxRequests == 0 {
		c.MaxRequests = DefaultMaxRequests
	}
	if c.MaxTotal == 0 {
		c.MaxTotal = DefaultMaxTotal
	}
	if c.Node == "" {
		c.Node = "mccd"
	}
	if c.Version == "" {
		c.Version = "dev"
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Cluster == nil {
		c.Cluster = func() string { return "" }
	}
	if c.Lookup == nil {
		c.Lookup = func(string) (*storage.Rule, bool) { return nil, false }
	}
}

func (c *Config) validate() error {
	var faults []error
	for name, d := range map[string]time.Duration{"connect": c.Connect, "first byte": c.FirstByte, "stall": c.Stall, "wait": c.Wait} {
		if d < 0 {
			faults = append(faults, fmt.Errorf("%s time-out %v: give 0 (the default) or more", name, d))
		}
	}
	if c.MaxRequests < 0 {
		faults = append(faults, fmt.Errorf("max requests %d: give 0 (the default) or more", c.MaxRequests))
	}
	if c.MaxTotal < 0 {
		faults = append(faults, fmt.Errorf("max total of requests %d: give 0 (the default) or more", c.MaxTotal))
	}
	if _, err := storage.ParseUpstream(c.Upstream); err != nil {
		faults = append(faults, fmt.Errorf("upstream: %w", err))
	}
	for what, s := range map[string]string{"node name": c.Node, "version": c.Version} {
		if strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == ',' }) {
			faults = append(faults, fmt.Errorf("%s %q: use printable characters without spaces and commas", what, s))
		}
	}
	return errors.Join(faults...)
}

// Client fetches from origins. It is safe for concurrent use.
type Client struct {
	cfg      Config
	upstream storage.Upstream
	// transports keep their connections apart, since what may be dialled
	// differs.
	transports [storage.WayCache + 1]*http.Transport
	parents    *parents
	spools     *spools
	bound      *bound
	passing    *bound // of Pass
	metrics    *metrics
	ctx        context.Context // ends with Close
	stop       context.CancelCauseFunc
}

// New returns a Client, or every fault of cfg at once. It starts nothing.
func New(cfg Config) (*Client, error) {
	cfg.setDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("configure origin client: %w", err)
	}
	c := &Client{cfg: cfg, bound: newBound(cfg.MaxTotal), passing: newBound(cfg.MaxTotal), metrics: newMetrics(cfg.Registerer), parents: newParents(), spools: newSpools(cfg.Spool)}
	c.upstream, _ = storage.ParseUpstream(cfg.Upstream) // validated
	c.metrics.waiting(cfg.Registerer, func() int { return c.bound.waiting() + c.passing.waiting() })
	c.ctx, c.stop = context.WithCancelCause(context.Background())
	for _, way := range []storage.Way{storage.WayDirect, storage.WayProxy, storage.WayCache} {
		c.transports[way] = c.newTransport(way)
	}
	return c, nil
}

func (c *Client) newTransport(way storage.Way) *http.Transport {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	t := &http.Transport{
		Proxy:                  nil, // never one from the environment
		DialContext:            c.dial,
		TLSClientConfig:        &tls.Config{RootCAs: c.cfg.RootCAs, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}},
		TLSHandshakeTimeout:    c.cfg.Connect,
		DisableCompression:     true, // it would add gzip to requests without Range
		MaxIdleConns:           maxIdle,
		MaxIdleConnsPerHost:    c.cfg.MaxRequests,
		IdleConnTimeout:        idleFor,
		ResponseHeaderTimeout:  c.cfg.FirstByte,
		MaxResponseHeaderBytes: maxHead,
		Protocols:              &protocols,
	}
	if way == storage.WayProxy {
		c.throughProxy(t)
	}
	return t
}

// Close ends all requests and bodies in progress and closes kept connections.
func (c *Client) Close() error {
	c.stop(errClosed)
	for _, t := range c.transports {
		if t != nil {
			t.CloseIdleConnections()
		}
	}
	return nil
}

var errClosed = errors.New("origin client closed")
