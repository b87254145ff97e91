package gateway

import (
	"strings"

	"github.com/mccd/mccd/storage"
)

// cacheStatusName returns name as the sf-token, or where it cannot be one the
// sf-string, that stands for this node in Cache-Status (RFC 9211 section 2).
func cacheStatusName(name string) string {
	if c := name[0] | 0x20; c >= 'a' && c <= 'z' {
		return name
	}
	return `"` + name + `"`
}

// How the members of Cache-Status end. DESIGN.md lists them.
const (
	statusHit       = "; hit"
	statusPeer      = "; fwd=uri-miss; detail=peer"
	statusOrigin    = "; fwd=uri-miss; detail=origin"
	statusCollapsed = "; collapsed"
	statusBypass    = "; fwd=bypass; detail=pass"
	statusUnstored  = "; fwd=uri-miss; detail=pass"
	statusRefused   = "; detail=refused"
	statusFailed    = "; fwd=uri-miss; detail=error"
)

// cacheStatus tells where an answer's first bytes came from.
func (g *Gateway) cacheStatus(from storage.Source, collapsed bool) string {
	var b strings.Builder
	b.WriteString(g.self)
	switch from {
	case storage.SourcePeer:
		b.WriteString(statusPeer)
	case storage.SourceOrigin:
		b.WriteString(statusOrigin)
	default:
		b.WriteString(statusHit)
		return b.String()
	}
	if collapsed {
		b.WriteString(statusCollapsed)
	}
	return b.String()
}
