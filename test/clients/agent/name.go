package agent

import (
	"slices"
	"sync"
)

// Name is the round-robin name of a cluster: what DNS would answer. It is safe
// for concurrent use.
type Name struct {
	text string
	// most is how many addresses an answer holds; 0 = all.
	most int

	mu    sync.Mutex // guards what follows
	addrs []string
	turn  int
}

// NewName returns the name text (what DOCacheHost says) with its addresses
// "ip:port", of which an answer holds most in turn; 0 = all.
func NewName(text string, most int, addrs ...string) *Name {
	return &Name{text: text, most: most, addrs: slices.Clone(addrs)}
}

// String returns what DOCacheHost says.
func (n *Name) String() string { return n.text }

// Lookup returns the addresses of one answer, which begins one further each
// time; empty = the name does not resolve.
func (n *Name) Lookup() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	count := len(n.addrs)
	if count == 0 {
		return nil
	}
	out := make([]string, 0, count)
	for i := range count {
		out = append(out, n.addrs[(n.turn+i)%count])
	}
	n.turn = (n.turn + 1) % count
	if n.most > 0 && len(out) > n.most {
		out = out[:n.most]
	}
	return out
}

// Remove takes addr out of the answers, as before a node is restarted.
func (n *Name) Remove(addr string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.addrs = slices.DeleteFunc(n.addrs, func(a string) bool { return a == addr })
}

// Add takes addr in, once.
func (n *Name) Add(addr string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !slices.Contains(n.addrs, addr) {
		n.addrs = append(n.addrs, addr)
	}
}
