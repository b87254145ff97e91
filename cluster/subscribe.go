package cluster

import (
	"sync"

	"github.com/mccd/mccd/ring"
)

// subscribers are told of every View, the latest at least.
type subscribers struct {
	mu   sync.Mutex
	all  map[int]chan *ring.View
	next int
}

// Subscribe returns a channel that gives the present View at once and then
// each new one; a reader that is slow gets the latest. cancel ends it; the
// channel is not closed.
func (c *Cluster) Subscribe() (views <-chan *ring.View, cancel func()) {
	// publishing, so that no View falls between the first and the next.
	c.publishing.Lock()
	defer c.publishing.Unlock()
	ch := make(chan *ring.View, 1)
	ch <- c.View()
	s := &c.subscribers
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = make(map[int]chan *ring.View)
	}
	s.next++
	id := s.next
	s.all[id] = ch
	return ch, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.all, id)
	}
}

// publish gives v to all; it is called by one goroutine at a time.
func (s *subscribers) publish(v *ring.View) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ch := range s.all {
		select {
		case <-ch:
		default:
		}
		ch <- v
	}
}
