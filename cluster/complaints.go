package cluster

import (
	"maps"
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

// maxComplaints bounds what is remembered.
const maxComplaints = 256

// complain reports whether trouble with what is to be logged now. Of too many
// kinds of trouble at once some are not logged.
func (c *complaints) complain(what string) bool {
	c.complaining.Lock()
	defer c.complaining.Unlock()
	if at, ok := c.last[what]; ok && time.Since(at) < complainEvery {
		return false
	}
	if len(c.last) >= maxComplaints {
		maps.DeleteFunc(c.last, func(_ string, at time.Time) bool { return time.Since(at) >= complainEvery })
		if len(c.last) >= maxComplaints {
			return false
		}
	}
	if c.last == nil {
		c.last = make(map[string]time.Time)
	}
	c.last[what] = time.Now()
	return true
}
