package gateway

import (
	"net/netip"
	"strconv"
	"strings"
)

// parseHost reads "host" or "host:port" as a name that could be an origin: in
// lower case, without the trailing dot. port is 0 when none is given. IP
// literals in every form that a resolver may accept, and everything that is
// not a host name, are refused.
func parseHost(s string) (host string, port int, ok bool) {
	host, digits, hasPort := strings.Cut(s, ":")
	if hasPort {
		if port, ok = parsePort(digits); !ok {
			return "", 0, false
		}
	}
	host = strings.TrimSuffix(lowerASCII(host), ".")
	if len(host) > 253 {
		return "", 0, false
	}
	label := ""
	for rest, more := host, true; more; {
		label, rest, more = strings.Cut(rest, ".")
		if !validLabel(label) {
			return "", 0, false
		}
	}
	if numeric(label) {
		return "", 0, false
	}
	return host, port, true
}

// parseLiteral reads an address, with a port or without, as an origin: host is
// its canonical form, inRef the same as a URL has it. Of IPv4 only four decimal
// numbers are one, of IPv6 only what stands in brackets; zones, and IPv4 in
// IPv6, are refused.
func parseLiteral(s string) (host, inRef string, port int, ok bool) {
	if literal, bracketed := strings.CutPrefix(s, "["); bracketed {
		end := strings.IndexByte(literal, ']')
		if end < 0 {
			return "", "", 0, false
		}
		addr, err := netip.ParseAddr(literal[:end])
		rest := literal[end+1:]
		if err != nil || !addr.Is6() || addr.Is4In6() || addr.Zone() != "" {
			return "", "", 0, false
		}
		if rest != "" {
			digits, colon := strings.CutPrefix(rest, ":")
			if port, ok = parsePort(digits); !ok || !colon {
				return "", "", 0, false
			}
		}
		return addr.String(), "[" + addr.String() + "]", port, true
	}
	host, digits, hasPort := strings.Cut(s, ":")
	if hasPort {
		if port, ok = parsePort(digits); !ok {
			return "", "", 0, false
		}
	}
	addr, err := netip.ParseAddr(host)
	if err != nil || !addr.Is4() {
		return "", "", 0, false
	}
	return host, host, port, true
}

// parsePort reads 1 to 65535 in decimal without a sign or a leading zero.
func parsePort(s string) (int, bool) {
	if len(s) == 0 || len(s) > 5 || s[0] == '0' || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	port, err := strconv.Atoi(s)
	return port, err == nil && port <= 65535
}

func validLabel(s string) bool {
	if len(s) == 0 || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// numeric reports whether a last label makes the whole name an IPv4 address to
// some resolver: digits only (127.1, 2130706433) or hexadecimal (0x7f.1 and
// 1.0x1), by the rule of the WHATWG URL standard, "ends in a number".
func numeric(label string) bool {
	if hex, ok := strings.CutPrefix(label, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return strings.Trim(label, "0123456789") == ""
}

// lowerASCII returns s in lower case. Unlike strings.ToLower it maps no other
// letter onto an ASCII one (U+212A, the Kelvin sign, is not k).
func lowerASCII(s string) string {
	for i := range len(s) {
		if c := s[i]; c >= 'A' && c <= 'Z' {
			b := []byte(s)
			for j := i; j < len(b); j++ {
				if c := b[j]; c >= 'A' && c <= 'Z' {
					b[j] = c + 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}
