package peer

import (
	"slices"
	"sync"
)

// maxTokens bounds the raw queries that one flight keeps, and those that it
// remembers as refused.
const maxTokens = 16

// tokens are the raw queries that those who want a flight's bytes brought. Each
// may hold a token that is one client's own: what the origin refuses of one
// must not end what it would give another.
type tokens struct {
	mu sync.Mutex // guards what follows
	// list are those not refused so far, the newest last; bad those refused.
	list, bad []string
	// good is the one that the origin took last, nil for none.
	good *string
}

// bring adds query. No query at all is tried after all others.
func (t *tokens) bring(query string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case slices.Contains(t.bad, query):
	case query == "":
		if !slices.Contains(t.list, "") {
			t.list = slices.Insert(t.list, 0, "")
		}
	case len(t.list) == 0 || t.list[len(t.list)-1] != query:
		t.list = append(slices.DeleteFunc(t.list, func(q string) bool { return q == query }), query)
	}
	if len(t.list) > maxTokens {
		t.list = slices.Delete(t.list, 0, 1)
	}
}

// next returns the query to ask with: what the origin took last, else the
// newest.
func (t *tokens) next() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.good != nil {
		return *t.good
	}
	if n := len(t.list); n > 0 {
		return t.list[n-1]
	}
	if n := len(t.bad); n > 0 {
		return t.bad[n-1]
	}
	return ""
}

// worked notes that the origin took query.
func (t *tokens) worked(query string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.good = &query
}

// refuse notes that the origin refused query; another tells that there is one
// left that it has not.
func (t *tokens) refuse(query string) (another bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.good != nil && *t.good == query {
		t.good = nil
	}
	t.list = slices.DeleteFunc(t.list, func(q string) bool { return q == query })
	if !slices.Contains(t.bad, query) && len(t.bad) < maxTokens {
		t.bad = append(t.bad, query)
	}
	return len(t.list) > 0 || t.good != nil
}

// tried reports whether the origin has refused query.
func (t *tokens) tried(query string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Contains(t.bad, query)
}
