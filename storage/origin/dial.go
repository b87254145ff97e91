package origin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"

	"github.com/mccd/mccd/storage"
)

// routeKey carries the route of a request to the dialer.
type routeKey struct{}

// conn counts what is written, so that a request that never left can be told
// from one that did.
type conn struct {
	net.Conn
	written atomic.Int64
}

// Write implements net.Conn.
func (c *conn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.written.Add(int64(n))
	return n, err
}

// dial connects to addr, or to where the rule says, if the rule allows the
// address that it turns out to be. The check is made on the address of the
// socket itself, so that a name that resolves anew cannot pass it.
func (c *Client) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	r, ok := ctx.Value(routeKey{}).(*route)
	if !ok {
		return nil, errors.New("dial without a route")
	}
	if r.way == storage.WayDirect && r.rule.Connect != "" {
		addr = r.rule.Connect
	}
	d := net.Dialer{
		Timeout:  c.cfg.Connect,
		Resolver: c.cfg.Resolver,
		Control: func(_, address string, _ syscall.RawConn) error {
			return c.allow(r, address)
		},
	}
	raw, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return &conn{Conn: raw}, nil
}

// allow checks the address that is about to be dialled. A proxy and a parent
// cache may be anywhere but here: to be configured allows them.
func (c *Client) allow(r *route, address string) error {
	target, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: address %q cannot be read", ErrRefused, address)
	}
	if r.way != storage.WayDirect {
		if own(c.cfg.OwnAddrs, target, net.InterfaceAddrs) {
			return fmt.Errorf("%w: the upstream %s is an address of this cluster's own; let upstream: name another", ErrRefused, target)
		}
		return nil
	}
	return c.allowTarget(r.rule, target)
}

// allowTarget checks the address of an origin.
func (c *Client) allowTarget(rule *storage.Rule, target netip.AddrPort) error {
	if own(c.cfg.OwnAddrs, target, net.InterfaceAddrs) {
		return fmt.Errorf("%w: %s is an address of this cluster's own; let the name resolve to the origin, or set connect: in rule %q", ErrRefused, target, rule.Name)
	}
	if !rule.AllowPrivate && !public(target.Addr(), special()) {
		return fmt.Errorf("%w: %s is not a public address; if it is the origin's, set allow_private: true in rule %q", ErrRefused, target.Addr(), rule.Name)
	}
	return nil
}
