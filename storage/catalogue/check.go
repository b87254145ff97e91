package catalogue

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/mccd/mccd/storage"
)

// normal returns a copy of r that shares nothing with it: names in lower case
// without a trailing dot, and a name for r itself.
func normal(r storage.Rule) storage.Rule {
	lower := func(list []string) []string {
		if list == nil {
			return nil
		}
		out := make([]string, len(list))
		for i, s := range list {
			out[i] = strings.ToLower(s)
		}
		return out
	}
	r.Hosts = lower(r.Hosts)
	for i, h := range r.Hosts {
		r.Hosts[i] = strings.TrimSuffix(h, ".")
	}
	r.KeyHost = strings.TrimSuffix(strings.ToLower(r.KeyHost), ".")
	r.AlwaysRevalidate, r.PassNotFound = lower(r.AlwaysRevalidate), lower(r.PassNotFound)
	r.AllowLiterals = slices.Clone(r.AllowLiterals)
	r.ImmutablePrefixes, r.Ports = slices.Clone(r.ImmutablePrefixes), slices.Clone(r.Ports)
	if r.Name == "" && len(r.Hosts) > 0 {
		r.Name = strings.TrimPrefix(r.Hosts[0], "*.")
	}
	if r.Product == "" {
		r.Product = r.Name
	}
	return r
}

func label(r *storage.Rule) string {
	if r.Name == "" {
		return "no name"
	}
	return r.Name
}

// check returns the faults of r by itself.
func check(r *storage.Rule) (faults []error) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if r.Profile != storage.ProfileDO && r.Profile != storage.ProfileHTTP {
		fault("no profile: say do (Delivery Optimization clients) or http")
	}
	if len(r.Name) > 64 || strings.ContainsFunc(r.Name, func(c rune) bool { return c <= ' ' || c == '"' || c > '~' }) {
		fault("name %q: use at most 64 printable characters without spaces", r.Name)
	}
	if len(r.Hosts) == 0 {
		fault("no hosts: list the names that it serves")
	}
	for _, h := range r.Hosts {
		if err := checkPattern(h); err != nil {
			fault("host %q: %w", h, err)
		}
	}
	if r.KeyHost != "" {
		if err := checkName(r.KeyHost); err != nil {
			fault("key host %q: %w", r.KeyHost, err)
		}
	}
	for i, p := range r.Ports {
		switch {
		case p < 1 || p > 65535:
			fault("port %d: use 1 to 65535", p)
		case slices.Contains(r.Ports[:i], p):
			fault("port %d is listed twice: remove one", p)
		}
	}
	if r.Connect != "" {
		if err := checkConnect(r.Connect, r.AllowPrivate); err != nil {
			fault("connect %q: %w", r.Connect, err)
		}
	}
	switch up, err := storage.ParseUpstream(r.Upstream); {
	case err != nil:
		fault("upstream: %w", err)
	case r.Connect != "" && up.Way == storage.WayProxy:
		fault("connect and a proxy both say whom to ask: give one of them")
	}
	for _, p := range r.ImmutablePrefixes {
		if !strings.HasPrefix(p, "/") {
			fault("immutable prefix %q: begin it with /", p)
		}
	}
	for _, p := range slices.Concat(r.AlwaysRevalidate, r.PassNotFound) {
		if _, err := path.Match(p, ""); err != nil || p == "" || strings.Contains(p, "/") {
			fault("file name pattern %q: give a base name, in which * ? and [a-z] may stand", p)
		}
	}
	if r.FreshFor < 0 {
		fault("fresh for %v: give 0 or more", r.FreshFor)
	}
	if r.MaxRequests < 0 {
		fault("max requests %d: give 0 (the node's default) or more", r.MaxRequests)
	}
	return faults
}

// clashes returns what r and the rules before it both claim.
func clashes(before []*storage.Rule, r *storage.Rule) (faults []error) {
	for i, h := range r.Hosts {
		if slices.Contains(r.Hosts[:i], h) {
			faults = append(faults, fmt.Errorf("host %q is listed twice: remove one", h))
		}
	}
	for i, other := range before {
		if r.Name == other.Name && r.Name != "" {
			faults = append(faults, fmt.Errorf("name is that of origin %d too: give each its own", i+1))
		}
		for _, h := range r.Hosts {
			if slices.Contains(other.Hosts, h) {
				faults = append(faults, fmt.Errorf("host %q is served by origin %d (%s) too: remove it from one", h, i+1, label(other)))
			}
		}
		if r.KeyHost != "" && r.KeyHost == other.KeyHost {
			faults = append(faults, fmt.Errorf("key host %q is that of origin %d (%s) too, so that their contents would be taken for each other: put all mirrors into one origin", r.KeyHost, i+1, label(other)))
		}
	}
	return faults
}

func checkPattern(h string) error {
	x, wild := strings.CutPrefix(h, "*.")
	switch {
	case h == "*" || wild && !strings.Contains(x, "."):
		return errors.New("would make an open proxy: name a domain of at least two labels, as in *.example.com")
	case !wild:
		if _, err := netip.ParseAddr(h); err == nil {
			return nil // an address, as the explicit policy that it needs
		}
	}
	return checkName(x)
}

// checkName checks a host name (RFC 1123 section 2.1, and underscores).
func checkName(name string) error {
	if len(name) > 253 {
		return errors.New("longer than 253 characters")
	}
	labels := strings.Split(name, ".")
	if last := labels[len(labels)-1]; last != "" && strings.Trim(last, "0123456789") == "" {
		return errors.New("looks like an address and is none: give a name, or the whole address")
	}
	for _, l := range labels {
		bad := strings.ContainsFunc(l, func(c rune) bool {
			return c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z')
		})
		if l == "" || len(l) > 63 || bad || l[0] == '-' || l[len(l)-1] == '-' {
			return errors.New("give a host name alone, without scheme, port and path, or *. and a name")
		}
	}
	return nil
}

func checkConnect(connect string, private bool) error {
	host, port, err := net.SplitHostPort(connect)
	if n, perr := strconv.ParseUint(port, 10, 16); err != nil || perr != nil || n == 0 {
		return errors.New("give an address or a name and a port, as in 192.0.2.1:80")
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return checkName(strings.ToLower(host))
	}
	addr = addr.Unmap()
	if !private && (addr.IsPrivate() || addr.IsLoopback() || addr.IsLinkLocalUnicast()) {
		return errors.New("a private address is dialled only with allow_private: true")
	}
	if addr.IsUnspecified() || addr.IsMulticast() {
		return errors.New("not the address of a host")
	}
	return nil
}
