package origin

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/faultorigin"
)

// throughBed is an origin that only a proxy leads to.
func throughBed(t *testing.T, cfg Config, proxy faultorigin.ProxyConfig, secure bool) (*bed, *faultorigin.Proxy) {
	t.Helper()
	o := faultorigin.New(faultorigin.Config{TLS: secure, Names: []string{host}, Objects: []faultorigin.Object{{Path: path, Size: size}, {Path: "//" + path, Size: size}}})
	t.Cleanup(o.Close)
	proxy.To = o.Addr()
	p := faultorigin.NewProxy(proxy)
	t.Cleanup(p.Close)
	rule := &storage.Rule{Name: "test", Profile: storage.ProfileDO, Hosts: []string{host}, LastModifiedLength: true}
	cfg.Lookup = func(h string) (*storage.Rule, bool) { return rule, h == host }
	cfg.Upstream, cfg.RootCAs = "http://"+p.Addr(), o.CertPool()
	if proxy.User != "" && cfg.Credentials == nil {
		cfg.Credentials = map[string]*url.Userinfo{p.Addr(): url.UserPassword(proxy.User, proxy.Password)}
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &bed{origin: o, rule: rule, client: c}, p
}

func TestProxyGetsAbsoluteForm(t *testing.T) {
	b, p := throughBed(t, Config{}, faultorigin.ProxyConfig{User: "u", Password: "p@ss word"}, false)
	for _, raw := range []string{path, "//" + path} {
		f := ref()
		f.Path, f.Query = raw, "P4=aB%2bc%2fd%3d%3d&x=//"
		resp, err := b.fetch(t, Request{Ref: f, Span: span(5, 90_000)})
		if err != nil {
			t.Fatal(err)
		}
		right(t, resp, "1", span(5, 90_000))
		last := p.Entries()[len(p.Entries())-1]
		if want := "http://" + host + raw + "?" + f.Query; last.Target != want || last.Host != host || last.Method != http.MethodGet {
			t.Errorf("the proxy got %s %q for %q, want %q", last.Method, last.Target, last.Host, want)
		}
		for _, never := range []string{"X-Forwarded-For", "Forwarded", "Cdn-Loop", "Referer"} {
			if v := last.Header.Get(never); v != "" {
				t.Errorf("the proxy got %s: %s", never, v)
			}
		}
	}
	for _, e := range b.origin.Ledger().Entries() {
		if e.Header.Get("Proxy-Authorization") != "" || e.Header.Get("Range") != "bytes=5-89999" {
			t.Errorf("the origin got %v", e.Header)
		}
	}
}

func TestProxyTunnelsHTTPS(t *testing.T) {
	b, p := throughBed(t, Config{}, faultorigin.ProxyConfig{User: "u", Password: "secret"}, true)
	f := ref()
	f.Scheme = "https"
	resp, err := b.fetch(t, Request{Ref: f, Span: span(0, 1000)})
	if err != nil {
		t.Fatal(err)
	}
	right(t, resp, "1", span(0, 1000))
	e := p.Entries()
	if len(e) != 1 || e[0].Method != http.MethodConnect || e[0].Target != host+":443" || strings.Contains(e[0].Target, "secret") {
		t.Errorf("the proxy got %+v", e)
	}
	if got := b.origin.Ledger().Entries(); got[0].Host != host || got[0].Header.Get("Proxy-Authorization") != "" {
		t.Errorf("the origin got %+v", got[0])
	}
}

func TestProxyThatFailsIsNotPassedOver(t *testing.T) {
	for _, secure := range []bool{false, true} {
		var log bytes.Buffer
		cfg := Config{
			Credentials: map[string]*url.Userinfo{"other:3128": url.UserPassword("u", "secret")},
			Logger:      slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		}
		b, p := throughBed(t, cfg, faultorigin.ProxyConfig{User: "u", Password: "secret"}, secure)
		f := ref()
		if secure {
			f.Scheme = "https"
		}
		_, err := b.fetch(t, Request{Ref: f, Whole: true})
		if !errors.Is(err, ErrConnect) || !strings.Contains(err.Error(), "upstream_credentials") || strings.Contains(err.Error()+log.String(), "secret") {
			t.Errorf("https %t: %v\n%s", secure, err, log.String())
		}
		p.Close()
		if _, err = b.fetch(t, Request{Ref: f, Whole: true}); !errors.Is(err, storage.ErrUpstream) {
			t.Errorf("https %t, no proxy: %v", secure, err)
		}
		if n := len(b.origin.Ledger().Entries()); n != 0 {
			t.Errorf("https %t: the origin was asked %d times past the proxy", secure, n)
		}
	}
}

func TestProxyDoesNotLiftTheRulesOfTargets(t *testing.T) {
	b, p := throughBed(t, Config{OwnAddrs: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.7:80")}}, faultorigin.ProxyConfig{}, false)
	for name, change := range map[string]func(*storage.Ref){
		"private address":   func(f *storage.Ref) { f.Host = "127.0.0.1" },
		"metadata address":  func(f *storage.Ref) { f.Host = "169.254.169.254" },
		"mapped address":    func(f *storage.Ref) { f.Host = "[::ffff:10.0.0.1]" },
		"own address":       func(f *storage.Ref) { f.Host = "192.0.2.7" },
		"port not listed":   func(f *storage.Ref) { f.Host += ":22" },
		"port out of range": func(f *storage.Ref) { f.Host += ":99999" },
	} {
		f := ref()
		change(&f)
		if _, err := b.fetch(t, Request{Ref: f, Whole: true}); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := len(p.Entries()); n != 0 {
		t.Errorf("the proxy was asked %d times", n)
	}
}

func TestUpstreamAtOwnAddressIsALoop(t *testing.T) {
	for _, scheme := range []string{"http://", "cache://"} {
		b := newBed(t, Config{})
		at := b.origin.AddrPort()
		c, err := New(Config{Upstream: scheme + at.String(), UpstreamOnly: true, OwnAddrs: []netip.AddrPort{at}})
		if err != nil {
			t.Fatal(err)
		}
		rule := *b.rule
		rule.Connect = ""
		_, err = c.Fetch(within(t), Request{Ref: ref(), Rule: &rule, Whole: true})
		if !errors.Is(err, storage.ErrUpstream) || !strings.Contains(err.Error(), "cluster's own") {
			t.Errorf("%s: %v", scheme, err)
		}
		_ = c.Close()
	}
}

func TestRouteOfRules(t *testing.T) {
	bypass, err := storage.ParseBypass([]string{"*.inside.example", "198.51.100.0/24"})
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(Config{Upstream: "http://proxy.example:3128", Bypass: bypass})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, tt := range []struct {
		name, host string
		rule       storage.Rule
		way        storage.Way
		at         string
	}{
		{"the node's", "cdn.example", storage.Rule{}, storage.WayProxy, "proxy.example:3128"},
		{"on the bypass list", "a.inside.example", storage.Rule{}, storage.WayDirect, ""},
		{"address on the bypass list", "198.51.100.9", storage.Rule{AllowPrivate: true}, storage.WayDirect, ""},
		{"connect is more special", "cdn.example", storage.Rule{Connect: "192.0.2.1:80"}, storage.WayDirect, ""},
		{"the rule says direct", "cdn.example", storage.Rule{Upstream: "direct"}, storage.WayDirect, ""},
		{"the rule's own, on the bypass list", "a.inside.example", storage.Rule{Upstream: "cache://parent"}, storage.WayCache, "parent:80"},
	} {
		r, err := c.route(storage.Ref{Scheme: "http", Host: tt.host, Path: "/"}, &tt.rule)
		if err != nil || r.way != tt.way || r.host != tt.at {
			t.Errorf("%s: %+v, %v", tt.name, r, err)
		}
	}
	r, err := c.route(storage.Ref{Scheme: "https", Host: "cdn.example", Path: "/"}, &storage.Rule{Upstream: "cache://parent:8080?https=8443"})
	if err != nil || r.host != "parent:8443" {
		t.Errorf("https at a parent: %+v, %v", r, err)
	}
}
