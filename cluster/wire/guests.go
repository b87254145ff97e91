package wire

import (
	"sync/atomic"
	"time"
)

// guest is the place of a connection whose other end is no member. Such a one
// comes to join, to renew or to be told why it may not: all short.
type guest struct {
	entry *entry
	// idle ends it when it has no call in progress, hard in any case.
	idle, hard *time.Timer
	calls      atomic.Int32
}

// lodge gives a connection whose other end is no member its place; another may
// have to go for it. Not to be called once the connection is tracked.
func (p *Port) lodge(c *Conn) {
	if c.peer.Role == RoleNode {
		return
	}
	g := &guest{}
	entry, evicted := p.guests.enter(c.raw, g.busy)
	if evicted != nil {
		p.metrics.refused.WithLabelValues(reasonCrowded).Inc()
		if p.complain.due(entry.addr, reasonCrowded) {
			p.log.Warn("too many connections of callers that are no members: one of the busiest address makes room", "addr", remote(evicted))
		}
		_ = evicted.Close() // nobody waits for it
	}
	end := func() {
		p.metrics.refused.WithLabelValues(reasonStayed).Inc()
		c.cut()
	}
	g.entry = entry
	g.idle = time.AfterFunc(p.cfg.GuestTime, func() {
		if !g.busy() {
			end()
		}
	})
	g.hard = time.AfterFunc(2*p.cfg.GuestTime, end)
	c.guest = g
}

// release gives the place back, if the connection has one.
func (p *Port) release(c *Conn) {
	if g := c.guest; g != nil {
		g.idle.Stop()
		g.hard.Stop()
		p.guests.leave(g.entry)
	}
}

func (g *guest) busy() bool { return g.calls.Load() > 0 }

// call counts a call in progress until done.
func (c *Conn) call() (done func()) {
	g := c.guest
	if g == nil {
		return func() {}
	}
	g.calls.Add(1)
	return func() { g.calls.Add(-1) }
}
