package gossip

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
)

// Bounds of what came in as streams: how many are open, in all and of one
// address (of one /64), and what is read of one. The library reads a whole
// state before it tries a key; that of 2000 nodes takes 2 MiB.
const (
	maxStreams     = 64
	maxStreamsAddr = 16
	maxStreamBytes = 4 << 20
)

// errStreamLong ends a stream that brings more than any state.
var errStreamLong = errors.New("gossip stream is too long")

// streams are those that came in and are open. A newcomer is never turned away:
// the oldest of the busiest address goes, so that whoever floods the port
// competes with themselves.
type streams struct {
	mu   sync.Mutex // guards open
	open []*stream  // the oldest first
}

// stream counts as open until it is closed.
type stream struct {
	net.Conn
	addr netip.Addr
	of   *streams
	left int // bytes; its reader is one goroutine at a time
}

// add takes a connection in and returns it bounded.
func (s *streams) add(c net.Conn) *stream {
	n := &stream{Conn: c, addr: sender(c), of: s, left: maxStreamBytes}
	s.mu.Lock()
	evicted := s.room(n.addr)
	s.open = append(s.open, n)
	s.mu.Unlock()
	if evicted != nil {
		_ = evicted.Close() // its reader learns it
	}
	return n
}

// room takes the stream out that has to go for one more of addr, if any. s.mu
// is held.
func (s *streams) room(addr netip.Addr) *stream {
	count := make(map[netip.Addr]int, len(s.open))
	for _, o := range s.open {
		count[o.addr]++
	}
	switch {
	case count[addr] >= maxStreamsAddr:
	case len(s.open) >= maxStreams:
		for _, o := range s.open {
			if count[o.addr] > count[addr] {
				addr = o.addr
			}
		}
	default:
		return nil
	}
	i := slices.IndexFunc(s.open, func(o *stream) bool { return o.addr == addr })
	evicted := s.open[i]
	s.open = slices.Delete(s.open, i, i+1)
	return evicted
}

// Read implements net.Conn.
func (c *stream) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, errStreamLong
	}
	n, err := c.Conn.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}

// Close implements net.Conn.
func (c *stream) Close() error {
	c.of.mu.Lock()
	c.of.open = slices.DeleteFunc(c.of.open, func(o *stream) bool { return o == c })
	c.of.mu.Unlock()
	return c.Conn.Close()
}

// sender is the address that counts as one.
func sender(c net.Conn) netip.Addr {
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
