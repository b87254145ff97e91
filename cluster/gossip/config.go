package gossip

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/memberlist"
)

// DefaultPort is the port of gossip where an address names none.
const DefaultPort = 7946

// ErrNotLoopback refuses an address that other machines could reach where
// gossip has no keys.
var ErrNotLoopback = errors.New("not a loopback address: gossip without keys is refused anywhere else")

// Config is all that a Gossip needs.
type Config struct {
	// NodeID is 32 lower-case hexadecimal digits.
	NodeID string
	// Name is for people, Zone is where the node stands: at most 64 bytes
	// each. PeerAddr is "host:port" of the port for peers.
	Name, Zone, PeerAddr string
	// Incarnation is that of this start: higher than any of a former start,
	// at most MaxIncarnation, not 0.
	Incarnation uint64
	// FormatVersion is the ring format that this node computes.
	FormatVersion uint32
	// Bind is "ip:port" or ":port" for both TCP and UDP; port 0 takes a free
	// one. Without Keys only loopback addresses are accepted.
	Bind string
	// Advertise is the "ip:port" that others are told, its port the bound one
	// where it is 0; empty = what is bound, which must be one address then.
	Advertise string
	// Label keeps clusters apart; empty = "mccd".
	Label string
	// Keys encrypt gossip, the first what is sent; 16, 24 or 32 bytes each.
	// None = not encrypted. SetKeys replaces them.
	Keys [][]byte
	// Admit tells whether the node id may be let in; nil = every one may. It
	// is called under memberlist's locks and must not block.
	Admit func(id string) error
	// Known returns the gossip addresses that the rejoin loop tries while
	// nobody answers there; nil = none. It is called from one goroutine.
	Known func() []string
	// Allow is a seam for tests that partition a cluster: no packet or stream
	// goes to an address for which it returns false, and no packet from there
	// is read. nil allows all.
	Allow func(addr string) bool
	// Timing, where zero, has the defaults.
	Timing Timing
	// Logger may be nil.
	Logger *slog.Logger
}

// Timing is how quickly the cluster notices. Zero fields take the default.
type Timing struct {
	// Probe is how often a node probes one other (500 ms), ProbeTimeout how
	// long it waits for the direct answer (300 ms).
	Probe, ProbeTimeout time.Duration
	// SuspicionMult times Probe is how long a silent node may still refute
	// (3).
	SuspicionMult int
	// Gossip is the interval of gossip messages (100 ms).
	Gossip time.Duration
	// PushPull is the interval of full exchanges with one other node (10 s).
	PushPull time.Duration
	// GossipToDead is how long gossip still goes to a failed node (30 s).
	GossipToDead time.Duration
	// Stream bounds each step of a stream: dial, read, write (3 s).
	Stream time.Duration
	// RejoinMin and RejoinMax bound the waits of the rejoin loop (1 s, 5 s):
	// both sides of a partition know each other again that soon after it.
	RejoinMin, RejoinMax time.Duration
}

func (t Timing) withDefaults() Timing {
	set := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	set(&t.Probe, 500*time.Millisecond)
	set(&t.ProbeTimeout, min(300*time.Millisecond, t.Probe))
	set(&t.Gossip, 100*time.Millisecond)
	set(&t.PushPull, 10*time.Second)
	set(&t.GossipToDead, 30*time.Second)
	set(&t.Stream, 3*time.Second)
	set(&t.RejoinMin, time.Second)
	set(&t.RejoinMax, max(5*time.Second, t.RejoinMin))
	if t.SuspicionMult <= 0 {
		t.SuspicionMult = 3
	}
	return t
}

// memberlist returns the library's configuration.
func (t Timing) memberlist() *memberlist.Config {
	c := memberlist.DefaultLANConfig()
	c.ProbeInterval, c.ProbeTimeout = t.Probe, t.ProbeTimeout
	c.SuspicionMult = t.SuspicionMult
	// With few nodes hardly anybody can confirm a suspicion: do not wait six
	// times as long for it.
	c.SuspicionMaxTimeoutMult = 2
	c.AwarenessMaxMultiplier = 4
	// Of few nodes some now and then miss a message that others pass on only four
	// times, at random, and learn it at the next push/pull.
	c.RetransmitMult = 8
	c.GossipInterval, c.GossipToTheDeadTime = t.Gossip, t.GossipToDead
	c.PushPullInterval, c.TCPTimeout = t.PushPull, t.Stream
	return c
}

// address parses "ip:port", ":port" or "localhost:port", and refuses what other
// machines can reach where gossip has no keys.
func (c *Config) address(what, addr string) (netip.AddrPort, error) {
	if port, ok := strings.CutPrefix(addr, "localhost:"); ok {
		addr = "127.0.0.1:" + port
	} else if strings.HasPrefix(addr, ":") {
		addr = "[::]" + addr
	}
	ap, err := netip.ParseAddrPort(addr)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("%s %q: want ip:port", what, addr)
	}
	if len(c.Keys) == 0 && !ap.Addr().Unmap().IsLoopback() {
		return netip.AddrPort{}, fmt.Errorf("%s %q: %w", what, addr, ErrNotLoopback)
	}
	return ap, nil
}

// WithPort returns addr with DefaultPort where it names no port. An IPv6
// address may stand without brackets when it has no port.
func WithPort(addr string) (string, error) {
	addr = strings.TrimSpace(addr)
	if ip, err := netip.ParseAddr(strings.Trim(addr, "[]")); err == nil {
		return net.JoinHostPort(ip.String(), strconv.Itoa(DefaultPort)), nil
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		host, port, err = net.SplitHostPort(net.JoinHostPort(addr, strconv.Itoa(DefaultPort)))
	}
	n, perr := strconv.ParseUint(port, 10, 16)
	_, iperr := netip.ParseAddr(host)
	if err != nil || perr != nil || n == 0 || host == "" || iperr != nil && strings.ContainsAny(host, " /@\\[]:?#%") {
		return "", fmt.Errorf("address %q: want host or host:port", addr)
	}
	return net.JoinHostPort(host, port), nil
}
