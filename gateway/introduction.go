package gateway

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	proxyproto "github.com/pires/go-proxyproto"

	"github.com/mccd/mccd/storage"
)

// errIntroduction: a balancer's connection did not begin as PROXY protocol.
var errIntroduction = errors.New("no PROXY header")

// introductions reads what balancers tell of the clients behind them, by PROXY
// protocol version 1 or 2. Who is in prefixes has to begin with it, and nobody
// else is listened to: either mistake would let clients choose their address.
type introductions struct {
	prefixes []netip.Prefix
	metrics  *metrics
	logger   *slog.Logger
	told     atomic.Int64 // when a fault was last logged, in seconds
}

// from reports whether a connection from addr begins with an introduction.
func (in *introductions) from(addr netip.Addr) bool {
	return len(in.prefixes) > 0 && storage.Holds(in.prefixes, addr)
}

// read takes the header off the beginning of what src gives, and returns the
// client's address and what was read beyond the header. The address is own
// where the balancer speaks for itself.
func (in *introductions) read(src io.Reader, own netip.Addr) (netip.Addr, []byte, error) {
	r := bufio.NewReaderSize(src, firstRead)
	header, err := proxyproto.Read(r)
	if err != nil {
		if _, network := errors.AsType[net.Error](err); !network {
			in.fault(own, err)
		}
		return own, nil, fmt.Errorf("%w: %w", errIntroduction, err)
	}
	rest, err := r.Peek(r.Buffered())
	if err != nil {
		return own, nil, err
	}
	if header.Command.IsProxy() {
		if addr := addrOf(header.SourceAddr); addr.IsValid() {
			own = addr
		}
	}
	return own, slices.Clone(rest), nil
}

// firstRead is how much is read at once of a connection's beginning: a header
// of version 1 has to come in one piece.
const firstRead = 2 << 10

// fault counts a connection without a header. It is told once a minute: the
// balancer, or this list, is wrong then, and clients get nothing.
func (in *introductions) fault(addr netip.Addr, err error) {
	in.metrics.introductions.Inc()
	now := time.Now().Unix()
	if last := in.told.Load(); now-last >= 60 && in.told.CompareAndSwap(last, now) {
		in.logger.Warn("connections of proxy_protocol without a PROXY header are closed", "balancer", addr, "error", err)
	}
}

// introduced reads the connection's introduction before its first byte.
func (c *conn) introduced() error {
	in := c.introduction
	c.introduction = nil
	c.client, c.ahead, c.broken = in.read(readerOf(c.receive), c.client)
	return c.broken
}

type readerOf func(p []byte) (int, error)

func (r readerOf) Read(p []byte) (int, error) { return r(p) }
