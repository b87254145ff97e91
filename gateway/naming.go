package gateway

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/mccd/mccd/storage"
)

// originParam is the query parameter by which a Delivery Optimization client
// names the origin (docs/clients.md section 1, form 1).
const originParam = "cacheHostOrigin"

// name reads which object of which origin r asks for. Nothing is looked up but
// the catalogue. A *refusal is the answer to give instead; the Ref then holds at
// most the host, for the log.
func (g *Gateway) name(r *http.Request) (storage.Ref, *storage.Rule, *refusal) {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	authority, path, query, bad := splitTarget(scheme, r.RequestURI)
	if bad != nil {
		return storage.Ref{}, nil, bad
	}
	if authority == "" {
		authority = r.Host
	}
	origin, query, found, bad := cutOrigin(query)
	if bad != nil {
		return storage.Ref{}, nil, bad
	}
	if !found {
		origin = authority
	}
	host, port, ok := parseHost(origin)
	inRef := host
	if !ok && found {
		// In Host a literal is the cache's own address, most of the time.
		host, inRef, port, ok = parseLiteral(origin)
	}
	if !ok {
		return storage.Ref{}, nil, refuseName(found)
	}
	rule, ok := g.cfg.Catalogue.Lookup(host)
	if !ok {
		return storage.Ref{Host: host}, nil, refuseName(found)
	}
	usual := 80
	if scheme == "https" {
		usual = 443
	}
	if port == 0 {
		port = usual
	}
	if !rule.AllowsPort(port) {
		return storage.Ref{Host: host}, nil, refuse(http.StatusForbidden, "This origin is not served at that port. Ask for it at a port of its catalogue entry, or fetch from the origin itself.")
	}
	ref := storage.Ref{
		Scheme: scheme, Host: inRef, Path: path, Query: query,
		KeyHost: rule.KeyHost, QueryInKey: rule.QueryInKey, JoinSchemes: rule.JoinSchemes,
	}
	if port != usual {
		ref.Host = inRef + origin[strings.LastIndexByte(origin, ':'):]
	}
	return ref, rule, nil
}

func refuseName(byParam bool) *refusal {
	if byParam {
		return refuse(http.StatusForbidden, "This cluster does not serve that origin. An operator may add its host name to the catalogue; until then fetch from the origin itself.")
	}
	no := refuse(http.StatusForbidden, "This is a cache. Name an origin of its catalogue: /path?"+originParam+"=<host>, or the origin's own name in Host.")
	no.nameless = true
	return no
}

// splitTarget takes a raw request target apart. authority is empty for
// origin-form. The path is returned byte for byte, the query without its
// question mark.
func splitTarget(scheme, target string) (authority, path, query string, bad *refusal) {
	target, query, _ = strings.Cut(target, "?")
	if strings.IndexByte(target, '#') >= 0 || strings.IndexByte(query, '#') >= 0 {
		return "", "", "", refuse(http.StatusBadRequest, "A request target has no fragment.")
	}
	path = target
	if !strings.HasPrefix(target, "/") {
		// Absolute-form: its host takes the place of Host (RFC 9112 section
		// 3.2.2). Only origins of the catalogue are served either way.
		targetScheme, rest, ok := strings.Cut(target, "://")
		if !ok {
			return "", "", "", refuse(http.StatusBadRequest, "The request target must begin with a slash.")
		}
		if lowerASCII(targetScheme) != scheme {
			return "", "", "", refuse(http.StatusForbidden, "This is a cache, not a proxy: ask for http targets over http and for https targets over https.")
		}
		slash := strings.IndexByte(rest, '/')
		if slash < 0 {
			rest, slash = rest+"/", len(rest)
		}
		authority, path = rest[:slash], rest[slash:]
		if authority == "" {
			return "", "", "", refuse(http.StatusBadRequest, "The request target names no host.")
		}
	}
	if bad := checkPath(path); bad != nil {
		return "", "", "", bad
	}
	return authority, path, query, nil
}

// checkPath refuses what no client of a CDN sends and what servers disagree
// about: dot segments, NUL, backslashes and broken escapes.
func checkPath(path string) *refusal {
	if strings.IndexByte(path, '\\') >= 0 {
		return refuse(http.StatusBadRequest, "The path holds a backslash.")
	}
	plain := path
	if strings.IndexByte(path, '%') >= 0 {
		var err error
		if plain, err = url.PathUnescape(path); err != nil {
			return refuse(http.StatusBadRequest, "The path holds a broken percent-escape.")
		}
	}
	for i := range len(plain) {
		if c := plain[i]; c < ' ' || c == 0x7f {
			return refuse(http.StatusBadRequest, "The path holds a control character.")
		}
	}
	if strings.Contains(plain, "./") || strings.HasSuffix(plain, ".") || strings.Contains(plain, `.\`) {
		for segment := range strings.FieldsFuncSeq(plain, func(c rune) bool { return c == '/' || c == '\\' }) {
			if segment == "." || segment == ".." {
				return refuse(http.StatusBadRequest, "The path holds a dot segment.")
			}
		}
	}
	return nil
}

// cutOrigin takes cacheHostOrigin out of a raw query and returns its decoded
// value. Every other byte stays: with each parameter goes the "&" before it,
// or, at the beginning, the one after it. Repetitions must agree.
func cutOrigin(query string) (origin, rest string, found bool, bad *refusal) {
	for at := 0; at <= len(query); {
		end := at + strings.IndexByte(query[at:], '&')
		if end < at {
			end = len(query)
		}
		key, value, _ := strings.Cut(query[at:end], "=")
		if !strings.EqualFold(key, originParam) {
			at = end + 1
			continue
		}
		host, err := url.PathUnescape(value)
		if err != nil || found && lowerASCII(host) != lowerASCII(origin) {
			return "", "", true, refuseName(true)
		}
		origin, found = host, true
		switch {
		case at > 0:
			query = query[:at-1] + query[end:]
		case end < len(query):
			query = query[end+1:]
		default:
			query = ""
		}
		if query == "" {
			break
		}
	}
	return origin, query, found, nil
}
