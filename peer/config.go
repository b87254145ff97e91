package peer

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/mccd/mccd/ring"
	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/disk"
	"github.com/mccd/mccd/storage/origin"
)

// Lister tells what a Store has.
type Lister interface {
	// Keys calls yield for each chunk held with the blocks that can be read,
	// until it returns false.
	Keys(yield func(storage.ChunkKey, disk.Bitmap) bool)
	// Indexed returns a channel that closes when Keys tells of all.
	Indexed() <-chan struct{}
}

// Store keeps chunks.
type Store interface {
	Lister
	// Lookup opens the chunk that is held under key, else disk.ErrNotHeld.
	Lookup(key storage.ChunkKey) (*disk.Chunk, error)
	// Create opens the chunk under key, an empty one when nothing is held.
	Create(ctx context.Context, key storage.ChunkKey, v storage.Version) (*disk.Chunk, error)
}

// Origin asks CDNs.
type Origin interface {
	// Fetch sends one request and returns the answer's head; it never asks
	// twice.
	Fetch(ctx context.Context, req origin.Request) (*origin.Response, error)
}

// Placement says who is in the cluster and who owns what.
type Placement interface {
	// View returns the node's present picture; it never blocks.
	View() *ring.View
}

// Catalogue says by which rule a host is served.
type Catalogue interface {
	// Lookup returns the rule of host (lower case, without a port).
	Lookup(host string) (*storage.Rule, bool)
}

// Config says what a Filler works with. Durations and counts of 0 mean the
// defaults in brackets.
type Config struct {
	Store     Store
	Records   Records
	Origin    Origin
	Placement Placement
	Catalogue Catalogue
	// Purges returns the purges in force; it never blocks. They only grow
	// newer, but for another cluster's. nil = there are none. See Filler.Purged.
	Purges func() *storage.Purges

	// Pinned reports whether an operator has pinned an object, so that what is
	// held of it stays; it must not block. nil = nothing is pinned.
	Pinned func(id storage.ObjectID) bool

	// Registrar takes the service that other nodes call: a server of the
	// owner's, made with ServerOptions and shared with other services. It may
	// serve from New on, and is stopped after Run has returned, or Close.
	// nil = see Listener.
	Registrar grpc.ServiceRegistrar
	// Sever cuts the connections of the server behind Registrar (its Stop, for
	// one). Close calls it only when a call goes on because its caller does not
	// read; nil = Close waits until keepalive has ended such a connection.
	Sever func()
	// Listener takes the connections of other nodes to a server of the
	// Filler's own; only without Registrar. nil = none are served.
	Listener net.Listener
	// ClientCredentials pass on the handshake that Dial has done; nil = plain
	// connections, for loopback.
	ClientCredentials credentials.TransportCredentials

	// Dial reaches the node with that id at addr, its TLS handshake done and its
	// certificate checked to be that node's; nil = plain TCP. Tests partition a
	// cluster by it.
	Dial func(ctx context.Context, node, addr string) (net.Conn, error)

	// Connections to each other node at most [4]. One is kept; the others are
	// dialled when as many fills are in progress at that node.
	Connections int

	// Silence without a byte from a peer moves a requester on [300ms].
	Silence time.Duration
	// Heartbeat is how often this node tells a waiting peer that it lives
	// [100ms].
	Heartbeat time.Duration
	// BreakerOpen is how long a peer that was heard counts as living whatever
	// gossip says; a silent one is passed over and, when it is wanted, asked
	// whether it lives again [2s].
	BreakerOpen time.Duration
	// CatchUp bounds the wait of a call for this node's placement to reach that
	// of another node [300ms].
	CatchUp time.Duration
	// Budget bounds how long a flight waits for a busy peer [10s].
	Budget time.Duration
	// Flights in progress at one time [4096], for this node's clients and, as
	// many again, for what it owns; over it requests get storage.ErrBusy.
	Flights int
	// FlightsPerOrigin bounds those of one origin host [half of Flights], so that
	// one that hangs leaves room for the others.
	FlightsPerOrigin int
	// FillsPerPeer bounds the FILLs that this node serves to one other node at
	// one time [1024]; over it the other is told BUSY.
	FillsPerPeer int
	// ReadAhead is how far a whole-file GET is read ahead at most, in bytes
	// [32 MiB].
	ReadAhead int64
	// HeldFanout is how many other nodes, whose holdings are not known yet, are
	// asked for what they hold before the origin is [256].
	HeldFanout int
	// Holders bounds the chunks and records of others that are kept in memory,
	// where this node is the acting owner [1048576]. Each takes about 200 bytes
	// when it comes to be known.
	Holders int
	// RecordsInMemory bounds the records kept in memory [65536].
	RecordsInMemory int

	Logger     *slog.Logger
	Registerer prometheus.Registerer
	// Now is the clock; nil = time.Now.
	Now func() time.Time
}

// Records keeps records over restarts.
type Records interface {
	// Record returns what is kept of object id, or an error.
	Record(id storage.ObjectID) (*storage.Object, error)
	// PutRecord keeps o.
	PutRecord(o *storage.Object) error
	// DropRecord removes what is kept of object id.
	DropRecord(id storage.ObjectID) error
}

func (c Config) withDefaults() Config {
	def := func(d *time.Duration, to time.Duration) {
		if *d == 0 {
			*d = to
		}
	}
	def(&c.Silence, 300*time.Millisecond)
	def(&c.Heartbeat, 100*time.Millisecond)
	def(&c.BreakerOpen, 2*time.Second)
	def(&c.CatchUp, 300*time.Millisecond)
	def(&c.Budget, 10*time.Second)
	if c.Connections == 0 {
		c.Connections = 4
	}
	if c.Flights == 0 {
		c.Flights = 4096
	}
	if c.FlightsPerOrigin == 0 {
		c.FlightsPerOrigin = max(1, c.Flights/2)
	}
	if c.FillsPerPeer == 0 {
		c.FillsPerPeer = 1024
	}
	if c.ReadAhead == 0 {
		c.ReadAhead = 32 << 20
	}
	if c.HeldFanout == 0 {
		c.HeldFanout = 256
	}
	if c.Holders == 0 {
		c.Holders = 1 << 20
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

func (c Config) validate() error {
	var errs []error
	for name, missing := range map[string]bool{
		"Store": c.Store == nil, "Records": c.Records == nil, "Origin": c.Origin == nil,
		"Placement": c.Placement == nil, "Catalogue": c.Catalogue == nil,
	} {
		if missing {
			errs = append(errs, errors.New("peer: "+name+" is not set"))
		}
	}
	if c.Registrar != nil && c.Listener != nil {
		errs = append(errs, errors.New("peer: Registrar and Listener exclude each other"))
	}
	if c.Connections < 0 {
		errs = append(errs, errors.New("peer: Connections is negative"))
	}
	if c.Silence <= c.Heartbeat {
		errs = append(errs, errors.New("peer: silence must be longer than the heartbeat: a waiting peer would be taken for dead"))
	}
	return errors.Join(errs...)
}
