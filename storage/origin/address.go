package origin

import (
	"net"
	"net/netip"
	"slices"
)

// special lists what netip has no method for: ranges that are not on the
// public internet (IANA special-purpose registries, RFC 6890 and its
// successors) or that carry another address inside.
func special() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/8"),       // this network
		netip.MustParsePrefix("100.64.0.0/10"),   // carrier-grade NAT
		netip.MustParsePrefix("192.0.0.0/24"),    // protocol assignments
		netip.MustParsePrefix("192.0.2.0/24"),    // documentation
		netip.MustParsePrefix("198.18.0.0/15"),   // benchmarking
		netip.MustParsePrefix("198.51.100.0/24"), // documentation
		netip.MustParsePrefix("203.0.113.0/24"),  // documentation
		netip.MustParsePrefix("240.0.0.0/4"),     // reserved, broadcast
		netip.MustParsePrefix("::/96"),           // IPv4-compatible
		netip.MustParsePrefix("64:ff9b:1::/48"),  // local NAT64
		netip.MustParsePrefix("100::/64"),        // discard
		netip.MustParsePrefix("2001::/23"),       // protocol assignments, Teredo
		netip.MustParsePrefix("2001:db8::/32"),   // documentation
		netip.MustParsePrefix("fec0::/10"),       // site-local
	}
}

// public reports whether a is an address of the public internet.
func public(a netip.Addr, notPublic []netip.Prefix) bool {
	a = a.Unmap().WithZone("")
	if inner, ok := embedded(a); ok {
		return public(inner, notPublic)
	}
	if !a.IsGlobalUnicast() || a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() {
		return false
	}
	return !slices.ContainsFunc(notPublic, func(p netip.Prefix) bool { return p.Contains(a) })
}

// embedded returns the IPv4 address that a leads to through a translator
// (NAT64, RFC 6052) or a tunnel (6to4, RFC 3056).
func embedded(a netip.Addr) (netip.Addr, bool) {
	if !a.Is6() {
		return a, false
	}
	b := a.As16()
	switch {
	case netip.MustParsePrefix("64:ff9b::/96").Contains(a):
		return netip.AddrFrom4([4]byte(b[12:16])), true
	case netip.MustParsePrefix("2002::/16").Contains(a):
		return netip.AddrFrom4([4]byte(b[2:6])), true
	}
	return a, false
}

// own reports whether target is one of the addresses in list.
func own(list []netip.AddrPort, target netip.AddrPort, local func() ([]net.Addr, error)) bool {
	addr := target.Addr().Unmap().WithZone("")
	for _, o := range list {
		if o.Port() != target.Port() {
			continue
		}
		mine := o.Addr().Unmap().WithZone("")
		if mine == addr || mine.IsUnspecified() && machines(addr, local) {
			return true
		}
	}
	return false
}

// machines reports whether addr is one of this machine's own.
func machines(addr netip.Addr, local func() ([]net.Addr, error)) bool {
	if addr.IsLoopback() || addr.IsUnspecified() {
		return true
	}
	list, err := local()
	if err != nil {
		return false
	}
	return slices.ContainsFunc(list, func(a net.Addr) bool {
		p, err := netip.ParsePrefix(a.String())
		return err == nil && p.Addr().Unmap().WithZone("") == addr
	})
}
