package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	"github.com/mccd/mccd/cluster/consensus"
	"github.com/mccd/mccd/cluster/gossip"
	"github.com/mccd/mccd/cluster/state"
)

// The defaults of Config.
const (
	DefaultSettle   = 50 * time.Millisecond
	DefaultCertLife = 90 * 24 * time.Hour
	// DefaultPort is the port between nodes where an address names none.
	DefaultPort = 7947
)

// Config is all that a Cluster needs.
type Config struct {
	// DataDir holds the node's id and its membership. It must exist and belong
	// to this process alone.
	DataDir string
	// Name is for people, empty = the first 8 digits of the id; Zone is where
	// the node stands, empty = none. At most 64 bytes each. They count when
	// the node enters a cluster.
	Name, Zone string
	// Weight is the node's share when it enters a cluster, 1 to 4; 0 = by
	// DriveBytes, the sum of its drives' limits.
	Weight     int
	DriveBytes int64
	// Release is the program's version.
	Release string
	// Listener is the one port between nodes; PeerAddr the "host:port" at
	// which others reach it.
	Listener net.Listener
	PeerAddr string
	// Bind is the gossip's "ip:port"; port 0 takes a free one. Advertise is
	// what others are told, empty = what is bound.
	Bind, Advertise string
	// Join are nodes, "host" or "host:port" of their port between nodes, that
	// are asked where the others are, and with Token for admission.
	Join []string
	// Token lets a node that is not of its cluster yet enter it through Join.
	Token string
	// JoinSecret stands for a token that all nodes have from the start; only
	// the first of Join may found the cluster. Empty = none.
	JoinSecret []byte
	// CertLife is how long certificates are good for; 0 = 90 days.
	CertLife time.Duration
	// ServerOptions are for the gRPC server of the port between nodes.
	ServerOptions []grpc.ServerOption
	// HandOver gives what only this node holds to others before it leaves; nil
	// = nothing is given.
	HandOver func(ctx context.Context) error
	// ServedTLS tells what this node serves https clients with; nil = nothing.
	ServedTLS func() state.ServedTLS
	// Settle is how long events are gathered before a new View; 0 = 50 ms.
	Settle time.Duration
	// Raft and Timing, where zero, have their defaults.
	Raft   consensus.Timing
	Timing gossip.Timing
	// Allow is a seam for tests that partition a cluster: it tells whether the
	// address of another node may be reached. nil = all may.
	Allow func(addr string) bool
	// Now is the clock that dates certificates; nil = time.Now. The times of
	// the replicated state are the leader's.
	Now func() time.Time
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
	if c.Listener == nil {
		errs = append(errs, errors.New("no listener"))
	}
	errs = append(errs, gossip.CheckName("name", c.Name), gossip.CheckName("zone", c.Zone),
		gossip.CheckAddr("peer address", c.PeerAddr))
	for _, seed := range c.Join {
		if _, err := withPort(seed); err != nil {
			errs = append(errs, fmt.Errorf("join %w", err))
		}
	}
	if c.Weight < 0 || c.Weight > 4 {
		errs = append(errs, fmt.Errorf("weight %d: want 1 to 4, or 0 for the weight of the drives", c.Weight))
	}
	if len(c.JoinSecret) > 0 && len(c.Join) == 0 {
		errs = append(errs, errors.New("a join secret needs the names of the nodes: --join a,b,c"))
	}
	if len(c.JoinSecret) > 0 && c.Token != "" {
		errs = append(errs, errors.New("a join secret and a token exclude each other"))
	}
	for name, d := range map[string]time.Duration{"certificate life": c.CertLife, "settle": c.Settle} {
		if d < 0 {
			errs = append(errs, fmt.Errorf("%s %v is negative", name, d))
		}
	}
	if c.ServedTLS == nil {
		c.ServedTLS = func() state.ServedTLS { return state.ServedTLS{} }
	}
	if c.Settle == 0 {
		c.Settle = DefaultSettle
	}
	if c.CertLife == 0 {
		c.CertLife = DefaultCertLife
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return errors.Join(errs...)
}
