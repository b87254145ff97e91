package cluster

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// withPort returns addr with DefaultPort where it names no port. An IPv6
// address may stand without brackets when it has no port.
func withPort(addr string) (string, error) {
	addr = strings.TrimSpace(addr)
	if ip, err := netip.ParseAddr(strings.Trim(addr, "[]")); err == nil {
		return net.JoinHostPort(ip.String(), strconv.Itoa(DefaultPort)), nil
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		host, port, err = net.SplitHostPort(net.JoinHostPort(addr, strconv.Itoa(DefaultPort)))
	}
	n, perr := strconv.ParseUint(port, 10, 16)
	if err != nil || perr != nil || n == 0 || host == "" || strings.ContainsAny(host, " /@\\?#") {
		return "", fmt.Errorf("address %q: want host or host:port", addr)
	}
	return net.JoinHostPort(host, port), nil
}
