package gateway

import (
	"net/http"
	"strconv"
	"strings"
)

// summaryPath is where operators of Microsoft's node look for its numbers
// (docs/clients.md section 6).
const summaryPath = "/summary"

// statusSummary ends the member of Cache-Status: nothing was cached.
const statusSummary = "; detail=summary"

// summarized answers a request for the node's own numbers: the path at a Host
// that is no origin, such as the node's own name or address.
func (x *exchange) summarized() bool {
	path, _, _ := strings.Cut(x.r.RequestURI, "?")
	if x.g.cfg.Summary == nil || path != summaryPath || x.r.Method != http.MethodGet && x.r.Method != http.MethodHead || !x.g.allowed(x.client) {
		return false
	}
	body := x.g.cfg.Summary()
	x.status = http.StatusOK
	h := x.w.Header()
	h["Content-Type"] = []string{"application/json"}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	h["Cache-Control"] = []string{"no-store"}
	x.g.nodeHead(h, []string{x.g.self + statusSummary})
	x.w.WriteHeader(http.StatusOK)
	if x.r.Method == http.MethodGet {
		_, _ = x.w.Write(body) // a client that has gone misses nothing
	}
	return true
}
