package agent

import (
	"sync"
	"time"
)

// BanTime is how long a client avoids a cache (docs/clients.md section 5).
const BanTime = 15 * time.Minute

// Bans are the caches that one machine avoids. It is safe for concurrent use.
type Bans struct {
	now func() time.Time

	mu    sync.Mutex // guards until
	until map[banned]time.Time
}

// banned is a cache, for one origin host or ("") for every one.
type banned struct{ cache, host string }

// Ban is one that was set.
type Ban struct {
	Cache string
	// Host is the origin host for which it holds; "" = all.
	Host string
	Why  *Failure
}

// NewBans returns none, by a clock; nil = time.Now.
func NewBans(now func() time.Time) *Bans {
	if now == nil {
		now = time.Now
	}
	return &Bans{now: now, until: make(map[banned]time.Time)}
}

// Banned reports whether cache is avoided for host.
func (b *Bans) Banned(cache, host string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	return now.Before(b.until[banned{cache, host}]) || now.Before(b.until[banned{cache, ""}])
}

// Note sets the ban that a failure at cache for host costs, if any.
func (b *Bans) Note(cache, host string, f *Failure) (ban Ban, set bool) {
	switch {
	case f.Cause == CauseStatus && f.Status >= 400 && f.Status < 500:
	case f.Cause == CauseRefused, f.Cause == CauseNoName, f.Cause == CauseConnect, f.Cause == CauseSlow:
		host = ""
	default:
		return Ban{}, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.until[banned{cache, host}] = b.now().Add(BanTime)
	return Ban{Cache: cache, Host: host, Why: f}, true
}
