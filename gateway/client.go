package gateway

import (
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/mccd/mccd/storage"
)

// clientKey is the context key of the address of an HTTP/2 client, whose requests
// share a connection.
type clientKey struct{}

// clientOf returns the address of who asks: what the connection or its
// balancer's introduction tells, or, where that is a trusted forwarder, what
// the request does. The zero Addr where none is known.
func (g *Gateway) clientOf(r *http.Request, c *conn) netip.Addr {
	var addr netip.Addr
	if c != nil {
		addr = c.client
	} else if told, ok := r.Context().Value(clientKey{}).(netip.Addr); ok {
		addr = told
	} else {
		addr = clientAddr(r.RemoteAddr)
	}
	if len(g.cfg.TrustedForwarders) > 0 && storage.Holds(g.cfg.TrustedForwarders, addr) {
		return forwardedFor(r.Header, addr, g.cfg.TrustedForwarders)
	}
	return addr
}

// addrOf returns the address of a as the log writes it; the zero Addr where it
// is none.
func addrOf(a net.Addr) netip.Addr {
	if t, ok := a.(*net.TCPAddr); ok {
		return t.AddrPort().Addr().Unmap().WithZone("")
	}
	if a == nil {
		return netip.Addr{}
	}
	return clientAddr(a.String())
}

// allowed reports whether addr may be served. A node may always ask itself.
func (g *Gateway) allowed(addr netip.Addr) bool {
	return len(g.cfg.AllowClients) == 0 || addr.IsLoopback() || storage.Holds(g.cfg.AllowClients, addr)
}

// forwardedFor returns the right-most address of X-Forwarded-For, or where
// there is none of Forwarded (RFC 7239), that is not trusted: what stands left
// of it is anybody's claim. from is who sent the request. Where an entry is no
// address the one right of it counts, and where all are trusted the left-most.
func forwardedFor(h http.Header, from netip.Addr, trusted []netip.Prefix) netip.Addr {
	read, lines := forNode, h["X-Forwarded-For"]
	if len(lines) == 0 {
		read, lines = forwardedNode, h["Forwarded"]
	}
	for i := len(lines) - 1; i >= 0; i-- {
		for line, last := lines[i], ""; line != ""; {
			if line, last = lastElement(line); last == "" {
				continue // RFC 9110 section 5.6.1
			}
			addr, ok := read(last)
			if !ok {
				return from
			}
			if from = addr; !storage.Holds(trusted, addr) {
				return from
			}
		}
	}
	return from
}

// lastElement cuts the last element off a list. It reads from the right, as what
// stands left of a balancer's own words, also within its quotes, may be meant
// to mislead.
func lastElement(line string) (rest, last string) {
	quoted, i := false, len(line)-1
	for ; i >= 0 && (line[i] != ',' || quoted); i-- {
		if line[i] == '"' && (len(line[:i])-len(strings.TrimRight(line[:i], `\`)))%2 == 0 {
			quoted = !quoted
		}
	}
	return line[:max(i, 0)], strings.Trim(line[i+1:], " \t")
}

// forNode reads an address with or without brackets and a port, as
// X-Forwarded-For and the node of RFC 7239 section 6 have it.
func forNode(s string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(s)
	if err != nil {
		if at, err := netip.ParseAddrPort(s); err == nil {
			addr = at.Addr()
		} else if addr, err = netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")); err != nil || !addr.Is6() {
			return netip.Addr{}, false
		}
	}
	return addr.Unmap().WithZone(""), true
}

// forwardedNode reads the parameter "for" of one element of Forwarded.
func forwardedNode(element string) (netip.Addr, bool) {
	for pair := range strings.SplitSeq(element, ";") {
		name, value, _ := strings.Cut(strings.Trim(pair, " \t"), "=")
		if strings.EqualFold(name, "for") {
			if quoted, ok := strings.CutPrefix(value, `"`); ok {
				value = strings.TrimSuffix(quoted, `"`)
			}
			return forNode(value)
		}
	}
	return netip.Addr{}, false
}
