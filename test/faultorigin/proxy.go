package faultorigin

import (
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
)

// ProxyConfig says how a Proxy serves.
type ProxyConfig struct {
	// User and Password are asked for by 407; "" = nobody is asked.
	User, Password string
	// To is where every request goes, "host:port", whatever it names.
	To string
	// Status, if not 0, is the answer to everything.
	Status int
}

// ProxyEntry is one request that a Proxy saw.
type ProxyEntry struct {
	Method string
	// Target is the request target as it came: absolute-form, or host:port of
	// a CONNECT.
	Target string
	Host   string
	Header http.Header
}

// Proxy is an HTTP proxy with a ledger: absolute-form requests are sent on, and
// CONNECT makes a tunnel.
type Proxy struct {
	cfg    ProxyConfig
	server *httptest.Server

	mu      sync.Mutex // guards what follows
	entries []ProxyEntry
	tunnels []net.Conn
}

// NewProxy returns a Proxy on a free port of the loopback that serves until
// Close.
func NewProxy(cfg ProxyConfig) *Proxy {
	p := &Proxy{cfg: cfg}
	p.server = httptest.NewServer(p)
	return p
}

// Addr returns where it listens, as "host:port".
func (p *Proxy) Addr() string { return p.server.Listener.Addr().String() }

// Entries returns what it was asked, in order.
func (p *Proxy) Entries() []ProxyEntry {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.entries)
}

// Close ends it, tunnels included.
func (p *Proxy) Close() {
	p.mu.Lock()
	for _, c := range p.tunnels {
		c.Close()
	}
	p.mu.Unlock()
	p.server.CloseClientConnections()
	p.server.Close()
}

// ServeHTTP implements http.Handler.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.entries = append(p.entries, ProxyEntry{Method: r.Method, Target: r.RequestURI, Host: r.Host, Header: r.Header.Clone()})
	p.mu.Unlock()
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte(p.cfg.User+":"+p.cfg.Password))
	switch {
	case p.cfg.Status != 0:
		w.WriteHeader(p.cfg.Status)
	case p.cfg.User != "" && r.Header.Get("Proxy-Authorization") != want:
		w.Header().Set("Proxy-Authenticate", `Basic realm="proxy"`)
		w.WriteHeader(http.StatusProxyAuthRequired)
	case r.Method == http.MethodConnect:
		p.tunnel(w)
	case !r.URL.IsAbs():
		w.WriteHeader(http.StatusBadRequest)
	default:
		p.forward(w, r)
	}
}

// forward sends an absolute-form request to the origin, its target's bytes as
// they came.
func (p *Proxy) forward(w http.ResponseWriter, r *http.Request) {
	up, err := net.Dial("tcp", p.cfg.To)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	down, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		up.Close()
		return
	}
	_, rest, _ := strings.Cut(r.RequestURI, "://")
	_, path, _ := strings.Cut(rest, "/")
	var head strings.Builder
	head.WriteString(r.Method + " /" + path + " HTTP/1.1\r\nHost: " + r.Host + "\r\nConnection: close\r\n")
	h := r.Header.Clone()
	h.Del("Proxy-Authorization")
	h.Del("Connection")
	_ = h.Write(&head)
	head.WriteString("\r\n")
	_, _ = io.WriteString(up, head.String())
	p.splice(down, up, buffered.Reader)
}

func (p *Proxy) tunnel(w http.ResponseWriter) {
	up, err := net.Dial("tcp", p.cfg.To)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	down, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		up.Close()
		return
	}
	_, _ = io.WriteString(down, "HTTP/1.1 200 Connection established\r\n\r\n")
	p.splice(down, up, buffered.Reader)
}

// splice copies both ways until either end closes.
func (p *Proxy) splice(down, up net.Conn, first io.Reader) {
	p.mu.Lock()
	p.tunnels = append(p.tunnels, down, up)
	p.mu.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(up, first)
		up.Close()
	}()
	_, _ = io.Copy(down, up)
	down.Close()
	<-done
}
