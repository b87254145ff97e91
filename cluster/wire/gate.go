package wire

import (
	"net"
	"net/netip"
	"sync"
)

// gate bounds handshakes in progress, or guests, in all and per address. It never
// turns a newcomer away: it gives up the oldest of the address that has the
// most (one that is busy after one that is not), so that whoever floods the port competes with themselves, and a node
// needs only to be quicker than its own address's share.
type gate struct {
	total, perAddr int

	mu      sync.Mutex // guards what follows
	pending map[netip.Addr][]*entry
	count   int
}

// entry is one handshake in progress, or one guest.
type entry struct {
	addr netip.Addr
	conn net.Conn
	// busy tells that it is of use at present; nil = it never is.
	busy func() bool
	// out: it made room for another. Guarded by the gate's mu.
	out bool
}

// newGate bounds entries, share of which may be of one address.
func newGate(total, share int) *gate {
	return &gate{total: total, perAddr: max(1, share), pending: make(map[netip.Addr][]*entry)}
}

// enter lets the connection in and returns the one to close for it, if any.
func (g *gate) enter(c net.Conn, busy func() bool) (e *entry, evicted net.Conn) {
	e = &entry{addr: caller(c), conn: c, busy: busy}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.pending[e.addr]) >= g.perAddr {
		evicted = g.evict(e.addr)
	} else if g.count >= g.total {
		var crowd netip.Addr
		for addr, list := range g.pending {
			if n := len(g.pending[crowd]); len(list) > n || len(list) == n && addr.Less(crowd) {
				crowd = addr
			}
		}
		evicted = g.evict(crowd)
	}
	g.pending[e.addr] = append(g.pending[e.addr], e)
	g.count++
	return e, evicted
}

// evict takes the oldest of the address out. g.mu is held.
func (g *gate) evict(addr netip.Addr) net.Conn {
	list := g.pending[addr]
	if len(list) == 0 {
		return nil
	}
	oldest := list[0]
	for _, e := range list {
		if e.busy == nil || !e.busy() {
			oldest = e
			break
		}
	}
	oldest.out = true
	g.remove(oldest)
	return oldest.conn
}

// leave ends the entry and reports whether it had made room for another.
func (g *gate) leave(e *entry) (evicted bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !e.out {
		g.remove(e)
	}
	return e.out
}

// remove takes e out of the lists. g.mu is held.
func (g *gate) remove(e *entry) {
	list := g.pending[e.addr]
	for i, other := range list {
		if other == e {
			g.count--
			// A new slice, so that what is gone does not stay in the old one.
			list = append(append([]*entry(nil), list[:i]...), list[i+1:]...)
			break
		}
	}
	if len(list) == 0 {
		delete(g.pending, e.addr)
		return
	}
	g.pending[e.addr] = list
}

// all returns the connections that are in.
func (g *gate) all() []net.Conn {
	g.mu.Lock()
	defer g.mu.Unlock()
	var conns []net.Conn
	for _, list := range g.pending {
		for _, e := range list {
			conns = append(conns, e.conn)
		}
	}
	return conns
}

// caller is the address that counts as one: of IPv6 the /64, which one
// machine can have all of.
func caller(c net.Conn) netip.Addr {
	ap, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	addr := ap.Addr().Unmap().WithZone("")
	if addr.Is6() {
		if p, err := addr.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return addr
}
