package origin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/mccd/mccd/storage"
)

// errProxyCredentials: the proxy wants to know who asks.
var errProxyCredentials = fmt.Errorf("%w: the proxy takes no request without the right credentials; give them in the file of upstream_credentials", ErrConnect)

// route is the way of one request.
type route struct {
	rule *storage.Rule
	// way is never WayDefault.
	way storage.Way
	// host is "host:port" of the proxy or the parent cache.
	host string
	// only tells that the parent cache is not passed over.
	only bool
}

// route says how ref is asked for: as its rule says, else as the node's
// setting does, where nothing more special (connect, the bypass list) says
// otherwise. A parent cache that failed a moment ago is passed over.
func (c *Client) route(ref storage.Ref, rule *storage.Rule) (*route, error) {
	host, port, err := splitPort(ref)
	if err != nil {
		return nil, err
	}
	up, err := storage.ParseUpstream(rule.Upstream)
	if err != nil {
		return nil, fmt.Errorf("%w: upstream of rule %q: %w", ErrRefused, rule.Name, err)
	}
	only := rule.UpstreamOnly
	if up.Way == storage.WayDefault {
		up = storage.Upstream{Way: storage.WayDirect}
		if rule.Connect == "" && c.upstream.Way > storage.WayDirect && !c.cfg.Bypass.Has(host) {
			up, only = c.upstream, only || c.cfg.UpstreamOnly
		}
	}
	r := &route{rule: rule, way: up.Way, host: up.Host, only: only}
	if up.Way == storage.WayDirect {
		return r, nil
	}
	// The name is resolved elsewhere; an address can be judged here.
	if addr, err := netip.ParseAddr(host); err == nil {
		if err := c.allowTarget(rule, netip.AddrPortFrom(addr, uint16(port))); err != nil {
			return nil, err
		}
	}
	if up.Way == storage.WayCache {
		if ref.Scheme == "https" {
			r.host = up.HTTPS
		}
		if !r.only && !c.parents.ask(r.host, c.cfg.Now()) {
			return &route{rule: rule, way: storage.WayDirect}, nil
		}
	}
	return r, nil
}

// throughProxy lets t send each request through the proxy of its route:
// net/http asks for https origins by CONNECT.
func (c *Client) throughProxy(t *http.Transport) {
	t.Proxy = func(req *http.Request) (*url.URL, error) {
		r, ok := req.Context().Value(routeKey{}).(*route)
		if !ok {
			return nil, errors.New("request without a route")
		}
		return &url.URL{Scheme: "http", Host: r.host, User: c.cfg.Credentials[r.host]}, nil
	}
	t.ProxyConnectHeader = http.Header{"User-Agent": {"mccd/" + c.cfg.Version}}
	t.OnProxyConnectResponse = func(_ context.Context, _ *url.URL, _ *http.Request, resp *http.Response) error {
		switch resp.StatusCode {
		case http.StatusOK:
			return nil
		case http.StatusProxyAuthRequired:
			return errProxyCredentials
		default:
			return fmt.Errorf("the proxy answered CONNECT by %d", resp.StatusCode)
		}
	}
}

// toCache returns the fields for a parent cache: those for the origin, and the
// clusters that the request has come through, this one last.
func (c *Client) toCache(h http.Header, ref storage.Ref) http.Header {
	own := c.cfg.Cluster()
	if own == "" {
		own = c.cfg.Node
	}
	if ref.Caches != "" {
		own = ref.Caches + ", " + own
	}
	h = h.Clone()
	h["Cdn-Loop"] = []string{own}
	return h
}

// withoutPort returns hostport without the default port of scheme.
func withoutPort(hostport, scheme string) string {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil || scheme == "http" && port != "80" || scheme == "https" && port != "443" {
		return hostport
	}
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}
