package node

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mccd/mccd/storage"
)

// Config says how one node runs. Zero values mean the defaults named at each
// field; New reports every fault at once.
type Config struct {
	// Name is what people call the node; empty = the host's name. Zone is
	// where it stands; empty = none.
	Name, Zone string
	// Version is the program's version, for status and the Via header.
	Version string
	// DataDir holds the node's id, its known peers and, unless Drives says
	// otherwise, its cache. Required.
	DataDir string
	// Drives are the directories that hold content, each with its limit in
	// bytes. At least one.
	Drives []Drive
	// Configured returns the drives that the next start would have, for the
	// status to tell of differences; nil = Drives.
	Configured func() ([]Drive, error)

	// Listen is where clients ask; "127.0.0.1:0" picks a port. Required.
	Listen string
	// HTTPSListen is where https clients ask; empty = https is not served. With
	// HTTPSLate a port that is not to be had is tried again, and only warned of
	// where there is a certificate.
	HTTPSListen string
	HTTPSLate   bool
	// TLSCertFile and TLSKeyFile are PEM files that are served in place of the
	// cluster's certificate, and read again when they change; empty = none.
	TLSCertFile, TLSKeyFile string
	// HTTP2 offers it to https clients.
	HTTP2 bool
	// OpsListen is the operators' HTTP (health, metrics); empty = none.
	OpsListen string
	// PeerListen and GossipListen are the ports between nodes. PeerAdvertise
	// and GossipAdvertise are what others dial, "host:port"; empty = the bound
	// address, or the first of the machine where all are bound.
	PeerListen, PeerAdvertise     string
	GossipListen, GossipAdvertise string
	// AdminSocket is the Unix socket of the admin service; empty = none.
	AdminSocket string
	// Join are nodes ("host" or "host:port" of their port for peers) that are
	// asked for the others, and with Token, or what TokenFile holds, for
	// admission.
	Join      []string
	Token     string
	TokenFile string
	// JoinSecretFile holds a secret of all nodes of Join, of which the first
	// may found the cluster; empty = none.
	JoinSecretFile string
	// Weight is the node's share when it enters a cluster, 1 to 4; 0 = by its
	// drives. CertLife is how long its certificates are good for [90 days].
	Weight   int
	CertLife time.Duration

	// BuiltinCatalogue serves the built-in origins (docs/clients.md section 7);
	// Origins are rules beside and over them, complete
	// (catalogue.Defaults gives a profile's own).
	BuiltinCatalogue bool
	Origins          []storage.Rule
	// IPOrigins are addresses that clients may name in place of an origin.
	IPOrigins []netip.Prefix
	// ProxyProtocol, TrustedForwarders and AllowClients are as in
	// gateway.Config.
	ProxyProtocol, TrustedForwarders, AllowClients []netip.Prefix
	Upstream                                       Upstream

	Limits   Limits
	Timeouts Timeouts

	// Allow is a seam for tests that partition a cluster: it tells whether the
	// address of another node may be reached. nil = all may.
	Allow func(addr string) bool

	// Registry takes the node's metrics; nil = one of its own.
	Registry Registry
	Logger   *slog.Logger
	// AccessLog takes one line per response; nil = none.
	AccessLog io.Writer
}

// Registry takes metrics and gives them out.
type Registry interface {
	prometheus.Registerer
	prometheus.Gatherer
}

// Drive is one directory that holds content.
type Drive struct {
	Path string
	// Size is its limit in bytes.
	Size int64
}

// Upstream says what is asked in place of origins whose rules do not.
type Upstream struct {
	// Default is in the form of storage.ParseUpstream; empty = nothing.
	Default string
	// Bypass are the origins asked directly, as storage.ParseBypass reads them.
	Bypass []string
	// Only tells that origins are not asked when a parent cache fails.
	Only bool
	// CredentialsFile holds lines "host:port user:password" for proxies.
	CredentialsFile string
}

// Limits bound what a node takes on; 0 = the default in brackets.
type Limits struct {
	// MaxConnections of clients [from RLIMIT_NOFILE].
	MaxConnections int
	// Egress in bytes per second leaves for clients at most [unbounded].
	Egress int64
	// MemoryBytes of chunks kept in memory when no drive takes them [512 MiB].
	MemoryBytes int64
	// RequestsPerOrigin at one time [64].
	RequestsPerOrigin int
	// OriginRequests at all origins together [512].
	OriginRequests int
	// FillsPerPeer that this node serves to one peer at one time [1024].
	FillsPerPeer int
	// Flights in progress at one time [4096].
	Flights int
	// FlightsPerOrigin host [half of Flights].
	FlightsPerOrigin int
	// ReadAhead is how far a whole-file GET is read ahead at most [32 MiB].
	ReadAhead int64
	// FreeBytes of the file system that stay free on each drive [1 GiB or 2 %].
	FreeBytes int64
	// ScrubRate is the pace in bytes per second at which each drive is read and
	// verified in the background; 0 = not at all.
	ScrubRate int64
	// MoveRate is the pace in bytes per second at which a drive's content moves
	// to the others [64 MiB].
	MoveRate int64
	// SpoolBytes on disk hold answers of unknown length until their length is
	// known [256 MiB]; negative = none.
	SpoolBytes int64
	// BorrowedShare is the part of each drive, in percent, in which borrowed
	// copies are safe from owned content [20]; negative = none.
	BorrowedShare int
	// IdleAfter is how long content stays that nobody asks for [30 days].
	IdleAfter time.Duration
}

// Timeouts are the times a node waits; 0 = the default in brackets.
type Timeouts struct {
	// Connect [3s], FirstByte [8s] and Stall [8s] bound the origin.
	Connect, FirstByte, Stall time.Duration
	// ClientFirstByte [10s] is how long a client waits for its next byte
	// before it gets 503 or a close (docs/clients.md section 5).
	ClientFirstByte time.Duration
	// PeerSilence [300ms] without a byte moves a requester on; PeerHeartbeat
	// [100ms] is how often a waiting peer says that it lives.
	PeerSilence, PeerHeartbeat time.Duration
	// BreakerOpen [2s] is how long a peer that was heard counts as living
	// whatever gossip says; a silent one is asked again four times as often.
	BreakerOpen time.Duration
	// ShutdownGrace [30s] is how long responses in flight may go on.
	ShutdownGrace time.Duration
	// GossipProbe [500ms] is how often gossip probes a member.
	GossipProbe time.Duration
	// RaftHeartbeat [1s] without a leader starts an election, RaftElection
	// [RaftHeartbeat] bounds one.
	RaftHeartbeat, RaftElection time.Duration
	// CatchUp [1s] is how long requests wait, after a start, until the node has
	// heard what was purged while it was away. Without a quorum it does not hear
	// it, and serves what it has.
	CatchUp time.Duration
	// DriveSlow [5s] is how long an operation on a drive may take before nothing
	// is asked of the drive until it answers fast again.
	DriveSlow time.Duration
}

// complete returns c with its defaults, or every fault at once.
func (c Config) complete() (Config, error) {
	var errs []error
	if c.DataDir == "" {
		errs = append(errs, errors.New("data_dir is not set"))
	}
	if len(c.Drives) == 0 {
		errs = append(errs, errors.New("drives: at least one is needed"))
	}
	if (c.TLSCertFile == "") != (c.TLSKeyFile == "") {
		errs = append(errs, errors.New("a certificate file and a key file go together"))
	}
	if c.Listen == "" {
		errs = append(errs, errors.New("listen is not set"))
	}
	for what, addr := range map[string]string{"peer_listen": c.PeerListen, "gossip_listen": c.GossipListen} {
		if _, _, err := net.SplitHostPort(addr); err != nil {
			errs = append(errs, fmt.Errorf("%s %q: want host:port", what, addr))
		}
	}
	if c.Name == "" {
		if name, err := os.Hostname(); err == nil {
			c.Name = name
		}
	}
	if c.Timeouts.ShutdownGrace == 0 {
		c.Timeouts.ShutdownGrace = 30 * time.Second
	}
	if c.Timeouts.CatchUp == 0 {
		c.Timeouts.CatchUp = time.Second
	}
	if c.Limits.MaxConnections == 0 {
		c.Limits.MaxConnections = connectionsFor(descriptors())
	}
	if c.Registry == nil {
		c.Registry = prometheus.NewRegistry()
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, errors.Join(errs...)
}
