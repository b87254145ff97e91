package storage

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// Way is how an origin is asked.
type Way uint8

// The ways. The zero Way is that of the node.
const (
	// WayDefault: as the node's own setting says.
	WayDefault Way = iota
	// WayDirect: the origin itself.
	WayDirect
	// WayProxy: through an HTTP proxy, by CONNECT for https origins.
	WayProxy
	// WayCache: at a parent cache, to which the origin is named by
	// cacheHostOrigin (docs/clients.md section 1, form 1).
	WayCache
)

// Upstream is what is asked in place of an origin.
type Upstream struct {
	Way Way
	// Host is "host:port" of the proxy, or of the parent cache for http
	// objects; HTTPS is that of the parent cache for https objects.
	Host, HTTPS string
}

// ParseUpstream reads "" (WayDefault), "direct", "http://host:port" (a proxy)
// and "cache://host[:port][?https=port]" (a parent cache; ports 80 and 443
// unless given).
func ParseUpstream(s string) (Upstream, error) {
	switch s {
	case "":
		return Upstream{}, nil
	case "direct":
		return Upstream{Way: WayDirect}, nil
	}
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return Upstream{}, errors.New("not a URL: write direct, http://proxy:port or cache://host")
	case !strings.Contains(s, "://"):
		return Upstream{}, errors.New("says not what is there: write http://host:port for a proxy, cache://host for a parent cache")
	case u.User != nil:
		return Upstream{}, errors.New("holds credentials: put them into the file of upstream_credentials")
	case u.Path != "" && u.Path != "/" || u.Fragment != "" || u.Opaque != "":
		return Upstream{}, errors.New("more than a host and a port: write http://proxy:port or cache://host")
	}
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	if host == "" || strings.ContainsAny(host, " /@,") {
		return Upstream{}, errors.New("names no host")
	}
	options := u.Query()
	switch {
	case u.Scheme == "http" && u.Port() != "" && len(options) == 0:
		at, err := hostPort(host, u.Port())
		return Upstream{Way: WayProxy, Host: at}, err
	case u.Scheme == "http":
		return Upstream{}, errors.New("a proxy needs its port and nothing more, as in http://proxy.example:3128")
	case u.Scheme != "cache":
		return Upstream{}, errors.New("neither http:// (a proxy) nor cache:// (a parent cache)")
	}
	port, secure := "80", "443"
	if u.Port() != "" {
		port = u.Port()
	}
	for name, values := range options {
		if name != "https" || len(values) != 1 {
			return Upstream{}, fmt.Errorf("%q is no option; there is ?https=port", name)
		}
		secure = values[0]
	}
	at, err := hostPort(host, port)
	if err != nil {
		return Upstream{}, err
	}
	atTLS, err := hostPort(host, secure)
	return Upstream{Way: WayCache, Host: at, HTTPS: atTLS}, err
}

func hostPort(host, port string) (string, error) {
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", fmt.Errorf("port %q: use 1 to 65535", port)
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host + ":" + port, nil
}

// Bypass are the hosts that are asked directly whatever the node's upstream
// is. The zero Bypass has none. It is immutable.
type Bypass struct {
	names, suffixes []string
	prefixes        []netip.Prefix
}

// ParseBypass reads entries: a name, "*.name" (which also matches name itself),
// an address, or a prefix such as 192.0.2.0/24, which addresses that stand in
// place of a name are compared with. Names are not resolved for it.
func ParseBypass(entries []string) (Bypass, error) {
	var b Bypass
	var faults []error
	for _, e := range entries {
		if prefix, err := ParsePrefix(e); err == nil {
			b.prefixes = append(b.prefixes, prefix)
			continue
		}
		name, suffix := strings.TrimSuffix(strings.ToLower(e), "."), false
		if name, suffix = strings.CutPrefix(name, "*."); name == "" || strings.ContainsAny(name, "*/:@ ,") {
			faults = append(faults, fmt.Errorf("%q: give a name, *.name, an address or a prefix", e))
			continue
		}
		if suffix {
			b.suffixes = append(b.suffixes, name)
		} else {
			b.names = append(b.names, name)
		}
	}
	return b, errors.Join(faults...)
}

// ParsePrefix reads a prefix, or an address as the prefix that holds it alone.
func ParsePrefix(s string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(s); err == nil {
		addr = addr.WithZone("").Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, fmt.Errorf("%q is neither an address nor a prefix such as 192.0.2.0/24", s)
	}
	return p.Masked(), nil
}

// Has reports whether host (lower case, no port, no trailing dot) is in b.
func (b Bypass) Has(host string) bool {
	if addr, err := netip.ParseAddr(host); err == nil {
		return Holds(b.prefixes, addr)
	}
	for _, n := range b.names {
		if n == host {
			return true
		}
	}
	for _, s := range b.suffixes {
		if host == s || strings.HasSuffix(host, s) && host[len(host)-len(s)-1] == '.' {
			return true
		}
	}
	return false
}

// Holds reports whether one of prefixes contains addr.
func Holds(prefixes []netip.Prefix, addr netip.Addr) bool {
	addr = addr.WithZone("").Unmap()
	for _, p := range prefixes {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}
