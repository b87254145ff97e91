package cluster

import (
	"sync"
	"time"
)

// complainEvery is how often the same trouble is logged.
const complainEvery = time.Minute

// complaints hold logs of what is tried again and again to one a minute.
type complaints struct {
	complaining sync.Mutex // guards last
	last        map[string]time.Time
}

// complain reports whether trouble with what is to be logged now. What is one of a
// few fixed words.
func (c *complaints) complain(what string) bool {
	c.complaining.Lock()
	defer c.complaining.Unlock()
	if at, ok := c.last[what]; ok && time.Since(at) < complainEvery {
		return false
	}
	if c.last == nil {
		c.last = make(map[string]time.Time)
	}
	c.last[what] = time.Now()
	return true
}
