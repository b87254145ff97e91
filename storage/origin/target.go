package origin

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/mccd/mccd/storage"
)

// originParam names the origin to a cache (docs/clients.md section 1, form 1).
const originParam = "cacheHostOrigin"

// target returns the URL that puts ref's path and query on the wire byte for
// byte, on the way of r, or refuses what cannot be sent so.
func target(ref storage.Ref, r *route) (*url.URL, error) {
	u, err := directTarget(ref)
	if err != nil {
		return nil, err
	}
	switch {
	case r.way == storage.WayCache:
		u.Host = r.host
		if u.RawQuery != "" {
			u.RawQuery += "&"
		}
		u.RawQuery += originParam + "=" + ref.Host // last: all bytes before it are the client's
	case r.way == storage.WayProxy && ref.Scheme == "http":
		// Absolute-form (RFC 9112 section 3.2.2), which net/http makes only of
		// paths that it has taken apart.
		u.Opaque, u.Path, u.RawPath = "//"+ref.Host+ref.Path, "", ""
	}
	return u, nil
}

func directTarget(ref storage.Ref) (*url.URL, error) {
	want := ref.Path
	if ref.Query != "" {
		want += "?" + ref.Query
	}
	bad := strings.ContainsFunc(want, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '#' })
	if ref.Scheme != "http" && ref.Scheme != "https" || ref.Host == "" || !strings.HasPrefix(ref.Path, "/") ||
		strings.Contains(ref.Path, "?") || bad {
		return nil, fmt.Errorf("%w: not a request target", ErrRefused)
	}
	u := &url.URL{Scheme: ref.Scheme, Host: ref.Host, Opaque: ref.Path, RawQuery: ref.Query}
	if strings.HasPrefix(ref.Path, "//") { // Opaque would be taken for an authority
		path, err := url.PathUnescape(ref.Path)
		if err != nil {
			return nil, fmt.Errorf("%w: path with a broken escape", ErrRefused)
		}
		u.Opaque, u.Path, u.RawPath = "", path, ref.Path
	}
	if u.RequestURI() != want {
		return nil, fmt.Errorf("%w: path cannot be sent unchanged", ErrRefused)
	}
	return u, nil
}

// splitPort returns ref's host without port, and the port.
func splitPort(ref storage.Ref) (host string, port int, err error) {
	port = 80
	if ref.Scheme == "https" {
		port = 443
	}
	host, text, err := net.SplitHostPort(ref.Host)
	if err != nil { // no port
		return strings.Trim(ref.Host, "[]"), port, nil //nolint:nilerr // the scheme's own port
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return "", 0, fmt.Errorf("%w: port out of range", ErrRefused)
	}
	return host, int(n), nil
}

// checkPort refuses a port that rule does not list.
func checkPort(ref storage.Ref, rule *storage.Rule) error {
	_, port, err := splitPort(ref)
	if err == nil && !rule.AllowsPort(port) {
		err = fmt.Errorf("%w: port %d; if the origin serves there, list it under ports: in rule %q", ErrRefused, port, rule.Name)
	}
	return err
}
