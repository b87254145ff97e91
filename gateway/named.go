package gateway

import (
	"net/http"
	"strings"

	"github.com/mccd/mccd/storage"
)

// Named is how a request is read before anything is looked up.
type Named struct {
	// Ref is what it asks for; of one that is refused at most Host is set.
	Ref storage.Ref
	// Rule is that of its origin, nil where it is refused.
	Rule *storage.Rule
	// ByParam tells that it names its origin by cacheHostOrigin, not by its Host.
	ByParam bool
	// Status is what a client gets at once, with Text; 0 = it is served.
	Status int
	Text   string
}

// Named reads r, of which it needs Host, RequestURI and whether TLS is set, as it
// would be served. It serves nothing.
func (g *Gateway) Named(r *http.Request) Named {
	_, query, _ := strings.Cut(r.RequestURI, "?")
	_, _, found, _ := cutOrigin(query)
	ref, rule, no := g.name(r)
	n := Named{Ref: ref, Rule: rule, ByParam: found}
	if no != nil {
		n.Status, n.Text = no.status, no.text
	}
	return n
}
