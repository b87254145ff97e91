package cluster

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mccd/mccd/cluster/gossip"
)

// The defaults of Config.
const (
	DefaultForgetAfter = 72 * time.Hour
	DefaultSettle      = 50 * time.Millisecond
)

// Config is all that a Cluster needs.
type Config struct {
	// DataDir holds the node's id and the members that it knows. It must
	// exist and belong to this process alone.
	DataDir string
	// Name is for people, empty = the first 8 digits of the id; Zone is where
	// the node stands, empty = none. At most 64 bytes each.
	Name, Zone string
	// PeerAddr is the "host:port" at which other nodes reach this one's port
	// for peers.
	PeerAddr string
	// Bind is the gossip's "ip:port", loopback only; port 0 takes a free one.
	// Advertise is what others are told, empty = what is bound.
	Bind, Advertise string
	// Label keeps clusters apart that share addresses; empty = "mccd".
	Label string
	// SecretKey encrypts gossip: 16, 24 or 32 bytes; empty = not encrypted.
	SecretKey []byte
	// Seeds are gossip addresses, "host" or "host:port", that are tried again
	// and again while this node is alone.
	Seeds []string
	// ForgetAfter is how long a failed node is missed before it loses its
	// place in the ring, in running time of this node; 0 = 72 h. A node
	// forgets only while it sees more than half of the members alive.
	ForgetAfter time.Duration
	// Settle is how long events are gathered before a new View; 0 = 50 ms.
	Settle time.Duration
	// Timing is the gossip's; zero fields take its defaults.
	Timing gossip.Timing
	// Allow is a seam for tests that partition a cluster: gossip.Config.Allow.
	Allow func(addr string) bool
	// Logger and Registerer may be nil.
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// validate reports every fault at once and fills in the defaults.
func (c *Config) validate() error {
	var errs []error
	if c.DataDir == "" {
		errs = append(errs, errors.New("no data directory"))
	}
	errs = append(errs, gossip.CheckName("name", c.Name), gossip.CheckName("zone", c.Zone),
		gossip.CheckAddr("peer address", c.PeerAddr))
	for _, seed := range c.Seeds {
		if _, err := gossip.WithPort(seed); err != nil {
			errs = append(errs, fmt.Errorf("join %w", err))
		}
	}
	for name, d := range map[string]time.Duration{"forget after": c.ForgetAfter, "settle": c.Settle} {
		if d < 0 {
			errs = append(errs, fmt.Errorf("%s %v is negative", name, d))
		}
	}
	if c.ForgetAfter == 0 {
		c.ForgetAfter = DefaultForgetAfter
	}
	if c.Settle == 0 {
		c.Settle = DefaultSettle
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return errors.Join(errs...)
}
