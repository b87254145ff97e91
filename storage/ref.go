package storage

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// ObjectID tells one object from all others, on every node alike: the first
// 128 bits of SHA-256 over scheme, host, path and, where the rule keeps it,
// query. It never depends on the version.
type ObjectID [16]byte

// String returns the id in hexadecimal.
func (id ObjectID) String() string { return hex.EncodeToString(id[:]) }

// Ref is what a request names: one URL of one origin, in the byte-exact form
// that goes upstream.
type Ref struct {
	// Scheme is "http" or "https", as the client came; the origin is fetched
	// by the same scheme.
	Scheme string
	// Host is the origin's name in lower case without a trailing dot, with
	// ":port" only where the port is not the scheme's default.
	Host string
	// Path is the raw path, escapes and case untouched. It begins with "/".
	Path string
	// Query is the raw query without the question mark and without
	// cacheHostOrigin, all other bytes untouched. It may hold a signed token:
	// it is never logged and never written to disk.
	Query string
	// KeyHost, when set, takes Host's place in the key: the canonical alias of
	// several mirrors of one content.
	KeyHost string
	// QueryInKey tells that Query is part of the key (Rule.QueryInKey).
	QueryInKey bool
	// JoinSchemes tells that http and https name the same object
	// (Rule.JoinSchemes).
	JoinSchemes bool
	// Caches names the clusters of caches that the request has come through,
	// as in CDN-Loop (RFC 8586); it goes on to a parent cache. It is no part
	// of the key.
	Caches string
}

// ID returns the object that r names. Parts are length-prefixed, so that no
// two different sets of parts give the same input to the hash.
func (r Ref) ID() ObjectID {
	scheme, host, query := r.Scheme, r.Host, ""
	if r.JoinSchemes {
		scheme = "http"
	}
	if r.KeyHost != "" {
		host = r.KeyHost
	}
	kept := byte(0)
	if r.QueryInKey {
		kept, query = 1, r.Query
	}
	var space [512]byte // longer ones are put on the heap
	b := space[:0]
	for _, part := range [...]string{scheme, host, r.Path, query} {
		b = append(appendPart(b, part), ',')
	}
	sum := sha256.Sum256(append(b, kept))
	return ObjectID(sum[:16])
}

// HostName returns a Ref's Host without its port, and an address without its
// brackets: what a catalogue is asked about.
func HostName(host string) string {
	if literal, ok := strings.CutPrefix(host, "["); ok {
		literal, _, _ = strings.Cut(literal, "]")
		return literal
	}
	host, _, _ = strings.Cut(host, ":")
	return host
}

// String returns scheme, host and path, without the query: it is safe to log.
func (r Ref) String() string { return r.Scheme + "://" + r.Host + r.Path }
