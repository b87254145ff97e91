package node

import (
	"fmt"
	"net"
	"net/netip"
)

// advertised returns what other nodes dial for a port that is bound at bound:
// what was set, else the bound address, else, where all addresses are bound,
// the first of this machine that is not loopback.
func advertised(set, bound string, addrs func() ([]net.Addr, error)) (string, error) {
	_, port, err := net.SplitHostPort(bound)
	if err != nil {
		return "", err
	}
	if set != "" {
		host, setPort, err := net.SplitHostPort(set)
		if err != nil {
			return net.JoinHostPort(set, port), nil //nolint:nilerr // a host without a port
		}
		if setPort == "" || setPort == "0" {
			return net.JoinHostPort(host, port), nil
		}
		return set, nil
	}
	at, err := netip.ParseAddrPort(bound)
	if err != nil || !at.Addr().IsUnspecified() {
		return bound, err
	}
	all, err := addrs()
	if err != nil {
		return "", fmt.Errorf("list the addresses of this machine: %w", err)
	}
	best := netip.Addr{}
	for _, a := range all {
		prefix, err := netip.ParsePrefix(a.String())
		if err != nil {
			continue
		}
		ip := prefix.Addr().Unmap()
		if ip.IsLoopback() || ip.IsLinkLocalUnicast() || !ip.IsValid() {
			continue
		}
		if !best.IsValid() || ip.Is4() && best.Is6() {
			best = ip
		}
	}
	if !best.IsValid() {
		best = netip.MustParseAddr("127.0.0.1") // alone on this machine
	}
	return net.JoinHostPort(best.String(), port), nil
}
