package wire

import (
	"net/netip"
	"sync"
	"time"
)

const (
	complainEvery = time.Minute
	maxComplaints = 1024
)

// complaints holds log lines about one address to one a minute and reason, in
// bounded memory.
type complaints struct {
	now func() time.Time

	mu   sync.Mutex // guards what follows
	last map[complaint]time.Time
	// full is when the map was found full last.
	full time.Time
}

type complaint struct {
	addr   netip.Addr
	reason string
}

func newComplaints(now func() time.Time) *complaints {
	return &complaints{now: now, last: make(map[complaint]time.Time)}
}

// due reports whether a line about this is due, and counts it as written.
func (c *complaints) due(addr netip.Addr, reason string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	now, key := c.now(), complaint{addr, reason}
	if at, ok := c.last[key]; ok && now.Sub(at) < complainEvery {
		return false
	}
	if _, ok := c.last[key]; !ok && len(c.last) >= maxComplaints && !c.sweep(now) {
		return false
	}
	c.last[key] = now
	return true
}

// sweep makes room, at most once a minute, and reports whether there is some.
// c.mu is held.
func (c *complaints) sweep(now time.Time) bool {
	if now.Sub(c.full) < complainEvery {
		return false
	}
	c.full = now
	for key, at := range c.last {
		if now.Sub(at) >= complainEvery {
			delete(c.last, key)
		}
	}
	return len(c.last) < maxComplaints
}
