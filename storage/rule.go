package storage

import (
	"net/netip"
	"path"
	"strings"
	"time"
)

// Profile is a set of rules for a kind of client (ARCHITECTURE.md;
// docs/clients.md sections 4 and 5).
type Profile uint8

// The profiles.
const (
	// ProfileDO serves Delivery Optimization clients: never a status that
	// bans, always a length.
	ProfileDO Profile = iota + 1
	// ProfileHTTP serves by RFC 9110 and 9111 to the letter.
	ProfileHTTP
)

// String returns "do" or "http".
func (p Profile) String() string {
	if p == ProfileHTTP {
		return "http"
	}
	return "do"
}

// Rule says how one origin, or one family of origins, is served. It is
// immutable once published.
type Rule struct {
	// Name is the rule's own name, used as metrics label; Product is what
	// reports call the content.
	Name, Product string
	Profile       Profile
	// Hosts are the patterns served: a name, or "*.name", which also matches
	// name itself.
	Hosts []string
	// KeyHost is the canonical alias: one key for all of Hosts, whose versions
	// are told by Last-Modified and length where there is a date. Empty: each
	// host has keys of its own.
	KeyHost string
	// QueryInKey keeps the query as a part of the key.
	QueryInKey bool
	// JoinSchemes makes http and https name the same object.
	JoinSchemes bool
	// LastModifiedLength tells versions by Last-Modified and length.
	LastModifiedLength bool
	// ImmutablePrefixes are path prefixes whose objects never change.
	ImmutablePrefixes []string
	// AlwaysRevalidate are base names (path.Match patterns) that are never
	// served without asking the origin.
	AlwaysRevalidate []string
	// PassNotFound are base names (path.Match patterns) for which the
	// origin's 404 goes on to the client in ProfileDO.
	PassNotFound []string
	// FreshFor is how long an answer without any freshness information is
	// fresh; 0 = by the heuristic of RFC 9111 section 4.2.2.
	FreshFor time.Duration
	// Ports are the origin ports that may be asked for; empty = 80 and 443.
	Ports []int
	// Connect is an address to dial in place of the origin's own, "host:port";
	// the origin's name stays in Host and in TLS SNI. Empty: by DNS.
	Connect string
	// AllowPrivate allows addresses that are private, loopback or link-local.
	AllowPrivate bool
	// MaxRequests bounds the requests at this origin at one time; 0 = the
	// node's default.
	MaxRequests int
	// Upstream is what is asked in place of the origin, in the form of
	// ParseUpstream. Empty: as the node's own setting says, which is directly
	// unless it names something.
	Upstream string
	// UpstreamOnly tells that the origin is not asked directly when a parent
	// cache fails. A proxy is never passed over.
	UpstreamOnly bool
	// AllowLiterals are the addresses that clients may name in place of an
	// origin's name; nil for all rules but the one for addresses
	// (catalogue.Config.Literals).
	AllowLiterals []netip.Prefix
}

// Immutable reports whether objects at the raw path p never change.
func (r *Rule) Immutable(p string) bool {
	for _, prefix := range r.ImmutablePrefixes {
		if strings.HasPrefix(p, prefix) {
			return true
		}
	}
	return false
}

// RevalidateAlways reports whether the object at the raw path p is never
// served without asking the origin.
func (r *Rule) RevalidateAlways(p string) bool { return matchBase(r.AlwaysRevalidate, p) }

// PassesNotFound reports whether the origin's 404 for the raw path p goes on
// to the client.
func (r *Rule) PassesNotFound(p string) bool {
	return r.Profile == ProfileHTTP || matchBase(r.PassNotFound, p)
}

// AllowsPort reports whether the origin may be asked at port.
func (r *Rule) AllowsPort(port int) bool {
	if len(r.Ports) == 0 {
		return port == 80 || port == 443
	}
	for _, p := range r.Ports {
		if p == port {
			return true
		}
	}
	return false
}

func matchBase(patterns []string, p string) bool {
	if len(patterns) == 0 {
		return false
	}
	base := strings.ToLower(path.Base(p))
	for _, pattern := range patterns {
		if !strings.ContainsAny(pattern, "*?[\\") { // a name
			if pattern == base {
				return true
			}
			continue
		}
		if ok, err := path.Match(pattern, base); ok && err == nil {
			return true
		}
	}
	return false
}
