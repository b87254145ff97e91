package wire

import (
	"crypto/tls"
	"net"
)

// newConn takes a finished handshake over; track puts it into the books.
func (p *Port) newConn(t *tls.Conn, raw *rawConn, peer Peer) *Conn {
	state := t.ConnectionState()
	return &Conn{Conn: t, raw: raw, peer: peer, protocol: state.NegotiatedProtocol, certs: state.PeerCertificates, policy: p.cfg.Policy, port: p}
}

// track counts c as open from here on until its socket closes; false after
// Close, or when it is closed already.
func (p *Port) track(c *Conn, direction string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || !c.raw.whenClosed(func() { p.forget(c, direction) }) {
		return false
	}
	p.open[c] = struct{}{}
	p.metrics.open.WithLabelValues(direction).Inc()
	return true
}

func (p *Port) forget(c *Conn, direction string) {
	p.mu.Lock()
	delete(p.open, c)
	p.mu.Unlock()
	p.metrics.open.WithLabelValues(direction).Dec()
	p.release(c)
}

// Enforce asks the Policy again about every open connection and closes those
// that it refuses now, or whose role is another: whoever is at the other end
// comes back as what it is now. Call it after the Policy's answers changed. A
// handshake in progress is judged by the new answers too.
func (p *Port) Enforce() {
	p.enforced.Add(1)
	p.mu.Lock()
	conns := make([]*Conn, 0, len(p.open))
	for c := range p.open {
		conns = append(conns, c)
	}
	p.mu.Unlock()
	for _, c := range conns {
		p.judge(c)
	}
}

// judge closes the connection where the Policy speaks otherwise of it now, and
// reports whether it stays.
func (p *Port) judge(c *Conn) bool {
	now, err := c.now()
	if err == nil && now.Role == c.peer.Role && now.NodeID == c.peer.NodeID {
		return true
	}
	if c.condemned.Swap(true) {
		return false
	}
	p.metrics.refused.WithLabelValues(reasonEnforced).Inc()
	attrs := []any{"node", c.peer.NodeID, "addr", c.peer.Addr, "was", c.peer.Role.String()}
	if err != nil {
		attrs = append(attrs, "error", err)
	} else {
		attrs = append(attrs, "is", now.Role.String())
	}
	p.log.Info("closing a connection between nodes: who is there counts otherwise now", attrs...)
	c.cut()
	return false
}

// Connections returns who is at the other end of the open connections, for
// status.
func (p *Port) Connections() []Peer {
	p.mu.Lock()
	defer p.mu.Unlock()
	peers := make([]Peer, 0, len(p.open))
	for c := range p.open {
		peers = append(peers, c.peer)
	}
	return peers
}

// remote is the other end's address as text.
func remote(c net.Conn) string { return c.RemoteAddr().String() }
