package origin

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/mccd/mccd/storage"
)

// maxHops bounds the redirects that one fetch follows.
const maxHops = 5

func redirects(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

// follow returns where location leads from ref, with its bytes as they are,
// and the rule of that place. It never has ref's query, which may be a token,
// unless location says it. The errors do not quote location.
func (c *Client) follow(ref storage.Ref, rule *storage.Rule, location string) (storage.Ref, *storage.Rule, error) {
	next, err := resolve(ref, location)
	if err != nil {
		return next, nil, err
	}
	if ref.Scheme == "https" && next.Scheme != "https" {
		return next, nil, fmt.Errorf("%w: redirect from https to http", ErrRefused)
	}
	host, _, err := splitPort(next)
	if err != nil {
		return next, nil, err
	}
	if before, _, err := splitPort(ref); err != nil || host != before {
		found, ok := c.cfg.Lookup(host)
		if !ok {
			return next, nil, fmt.Errorf("%w: redirect to %s, which is in no rule; list it under hosts: if it is to be served", ErrRefused, host)
		}
		rule = found
	}
	return next, rule, nil
}

// resolve applies location to ref (RFC 3986 section 5.2), keeping the bytes of
// its path and query.
func resolve(ref storage.Ref, location string) (storage.Ref, error) {
	next := storage.Ref{Scheme: ref.Scheme, Host: ref.Host, Path: "/"}
	location, _, _ = strings.Cut(location, "#")
	parsed, err := url.Parse(location)
	if err != nil || location == "" {
		return next, fmt.Errorf("%w: redirect without a usable Location", ErrLie)
	}
	rest := location
	if parsed.Scheme != "" {
		next.Scheme = parsed.Scheme // lower case by Parse
		rest = location[len(parsed.Scheme)+1:]
		if next.Scheme != "http" && next.Scheme != "https" || !strings.HasPrefix(rest, "//") {
			return next, fmt.Errorf("%w: redirect to a URL that is not http or https", ErrRefused)
		}
	}
	if authority, ok := strings.CutPrefix(rest, "//"); ok {
		end := strings.IndexAny(authority, "/?")
		if end < 0 {
			end = len(authority)
		}
		if next.Host, err = canonical(next.Scheme, authority[:end]); err != nil {
			return next, err
		}
		rest = authority[end:]
	}
	path, query, _ := strings.Cut(rest, "?")
	switch {
	case strings.HasPrefix(path, "/"):
		next.Path = path
	case path != "": // relative: only here are dot segments taken out
		base := url.URL{Path: ref.Path, RawPath: ref.Path}
		next.Path = base.ResolveReference(&url.URL{Path: parsed.Path, RawPath: parsed.RawPath}).EscapedPath()
	case rest == location && parsed.Host == "":
		next.Path = ref.Path
	}
	next.Query = query
	return next, nil
}

// canonical returns the authority in the form of Ref.Host.
func canonical(scheme, authority string) (string, error) {
	host := strings.ToLower(authority)
	bad := strings.ContainsFunc(host, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && !strings.ContainsRune("-._:[]", r)
	})
	port := ""
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		host, port = host[:i], host[i+1:]
	}
	host = strings.TrimSuffix(host, ".")
	if host == "" || bad {
		return "", fmt.Errorf("%w: redirect to a host that is not a plain name", ErrRefused)
	}
	if port == "" || scheme == "http" && port == "80" || scheme == "https" && port == "443" {
		return host, nil
	}
	return host + ":" + port, nil
}
