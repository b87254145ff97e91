package gateway

import "github.com/mccd/mccd/storage"

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

// fixedValues are header values that do not depend on the request. Responses
// share them, and nobody changes them.
type fixedValues struct {
	cid, ccc, via, acceptRanges, octets, close []string
	// status is Cache-Status by source, and whether the bytes were collapsed.
	status [storage.SourceOrigin + 1][2][]string
}

func newFixedValues(cfg Config, self string) fixedValues {
	v := fixedValues{
		cid: []string{cfg.NodeID}, ccc: []string{cfg.Zone}, via: []string{"1.1 " + cfg.NodeName},
		acceptRanges: []string{"bytes"}, octets: []string{"application/octet-stream"}, close: []string{"close"},
	}
	for from, end := range [...]string{storage.SourceDisk: statusHit, storage.SourcePeer: statusPeer, storage.SourceOrigin: statusOrigin} {
		v.status[from] = [2][]string{{self + end}, {self + end + statusCollapsed}}
	}
	v.status[storage.SourceDisk][1] = v.status[storage.SourceDisk][0] // collapsed tells about forwarding
	return v
}

// cacheStatus tells where an answer's first bytes came from.
func (g *Gateway) cacheStatus(from storage.Source, collapsed bool) []string {
	if collapsed {
		return g.values.status[from][1]
	}
	return g.values.status[from][0]
}
