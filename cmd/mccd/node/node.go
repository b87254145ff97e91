package node

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/mccd/mccd/cluster"
	"github.com/mccd/mccd/cluster/admin"
	"github.com/mccd/mccd/cluster/consensus"
	"github.com/mccd/mccd/cluster/gossip"
	"github.com/mccd/mccd/gateway"
	"github.com/mccd/mccd/gateway/ops"
	"github.com/mccd/mccd/peer"
	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/catalogue"
	"github.com/mccd/mccd/storage/disk"
	"github.com/mccd/mccd/storage/origin"
)

// The cluster takes a newer placement that a peer tells the fill.
var _ peer.Learner = (*cluster.Cluster)(nil)

// Node is one running member: every part, built and wired.
type Node struct {
	cfg      Config
	log      *slog.Logger
	registry Registry
	started  time.Time
	draining atomic.Bool

	catalogue *catalogue.Catalogue
	store     *disk.Store
	origin    *origin.Client
	cluster   *cluster.Cluster
	purges    *purges
	filler    *peer.Filler
	filling   atomic.Pointer[peer.Filler] // filler, for who may ask before it is there
	gateway   *gateway.Gateway
	https     *https
	serving   atomic.Pointer[https] // https, for who may ask before it is there
	ops       *ops.Server
	admin     *admin.Server

	peerAddr string
	// undo releases what New took, last first, when New fails or Run was
	// never called.
	undo []func() error
}

// New validates cfg, binds every listener and opens the drives; it starts
// nothing. What it took is released by Run's end, or by Close.
func New(cfg Config) (n *Node, err error) {
	cfg, err = cfg.complete()
	if err != nil {
		return nil, err
	}
	n = &Node{cfg: cfg, log: cfg.Logger, registry: cfg.Registry, started: time.Now()}
	n.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	defer func() {
		if err != nil {
			err = errors.Join(err, n.Close())
			n = nil
		}
	}()
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return n, fmt.Errorf("create data directory: %w", err)
	}
	unlock, err := disk.LockDirectory(cfg.DataDir)
	if errors.Is(err, disk.ErrLocked) {
		return n, fmt.Errorf("data directory %s: %w; give each node a --data-dir of its own", cfg.DataDir, err)
	} else if err != nil {
		return n, err
	}
	n.onClose(unlock)
	for _, build := range []func() error{
		n.buildCatalogue, n.buildStore, n.buildCluster, n.buildGatewayAndFill, n.buildOps, n.buildAdmin,
	} {
		if err := build(); err != nil {
			return n, err
		}
	}
	return n, nil
}

// Close releases what a Node holds that was never run.
func (n *Node) Close() error {
	var errs []error
	for i := len(n.undo) - 1; i >= 0; i-- {
		if err := n.undo[i](); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	n.undo = nil
	return errors.Join(errs...)
}

func (n *Node) onClose(f func() error) { n.undo = append(n.undo, f) }

func (n *Node) listen(what, addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen for %s: %w", what, err)
	}
	n.onClose(l.Close)
	return l, nil
}

func (n *Node) buildCatalogue() (err error) {
	n.catalogue, err = catalogue.New(catalogue.Config{Builtin: n.cfg.BuiltinCatalogue, Rules: n.cfg.Origins, Complete: true, Literals: n.cfg.IPOrigins})
	if err != nil {
		return fmt.Errorf("origins: %w", err)
	}
	return nil
}

func (n *Node) buildStore() (err error) {
	drives := make([]disk.Drive, len(n.cfg.Drives))
	for i, d := range n.cfg.Drives {
		drives[i] = disk.Drive{Path: d.Path, Size: d.Size}
	}
	n.store, err = disk.New(disk.Config{
		Drives: drives, MemBytes: n.cfg.Limits.MemoryBytes, MinFree: n.cfg.Limits.FreeBytes,
		ScrubRate: n.cfg.Limits.ScrubRate, MoveRate: n.cfg.Limits.MoveRate, SlowAfter: n.cfg.Timeouts.DriveSlow,
		Repair: n.repairCorrupt, Changed: n.storeChanged,
		Worth: n.worth, BorrowedShare: n.cfg.Limits.BorrowedShare, IdleAfter: n.cfg.Limits.IdleAfter,
		Logger: n.log.With("part", "disk"), Registerer: n.registry,
	})
	if err != nil {
		return fmt.Errorf("open drives: %w", err)
	}
	n.onClose(n.store.Close)
	return nil
}

// worth says what a chunk is worth; until the filler is there all are kept.
func (n *Node) worth(key storage.ChunkKey, by uint32) disk.Worth {
	if f := n.filling.Load(); f != nil {
		return f.Worth(key, by)
	}
	return disk.WorthOwned
}

func (n *Node) buildCluster() error {
	l, err := n.listen("peers", n.cfg.PeerListen)
	if err != nil {
		return err
	}
	if n.peerAddr, err = advertised(n.cfg.PeerAdvertise, l.Addr().String(), net.InterfaceAddrs); err != nil {
		return fmt.Errorf("peer_advertise: %w", err)
	}
	gossipAdvertise, err := n.gossipAdvertise()
	if err != nil {
		return err
	}
	token, secret, err := n.credentials()
	if err != nil {
		return err
	}
	var drives int64
	for _, d := range n.cfg.Drives {
		drives += d.Size
	}
	n.cluster, err = cluster.New(cluster.Config{
		DataDir: n.cfg.DataDir, Name: n.cfg.Name, Zone: n.cfg.Zone, Weight: n.cfg.Weight, DriveBytes: drives,
		Release: n.cfg.Version, Listener: l, PeerAddr: n.peerAddr,
		Bind: n.cfg.GossipListen, Advertise: gossipAdvertise, Join: n.cfg.Join, Token: token, JoinSecret: secret,
		CertLife: n.cfg.CertLife, ServedTLS: n.servedTLS, ServerOptions: peer.ServerOptions(), HandOver: n.handOver,
		Raft:   consensus.Timing{Heartbeat: n.cfg.Timeouts.RaftHeartbeat, Election: n.cfg.Timeouts.RaftElection},
		Timing: gossip.Timing{Probe: n.cfg.Timeouts.GossipProbe}, Allow: n.cfg.Allow,
		Logger: n.log.With("part", "cluster"), Registerer: n.registry,
	})
	if err != nil {
		return err
	}
	n.onClose(n.cluster.Close)
	n.purges = &purges{cluster: n.cluster, current: make(chan struct{})}
	n.origin, err = n.newOrigin()
	if err != nil {
		return err
	}
	n.onClose(n.origin.Close)
	n.filler, err = peer.New(peer.Config{
		Store: n.store, Records: n.store, Origin: n.origin, Placement: n.cluster, Catalogue: n.catalogue, Purges: n.purges.now,
		Registrar: n.cluster.Registrar(), Sever: n.cluster.Sever,
		Dial: n.cluster.DialNode, ClientCredentials: n.cluster.Port().DialCredentials(),
		Silence: n.cfg.Timeouts.PeerSilence, Heartbeat: n.cfg.Timeouts.PeerHeartbeat,
		BreakerOpen: n.cfg.Timeouts.BreakerOpen, Flights: n.cfg.Limits.Flights, FlightsPerOrigin: n.cfg.Limits.FlightsPerOrigin,
		FillsPerPeer: n.cfg.Limits.FillsPerPeer, ReadAhead: n.cfg.Limits.ReadAhead,
		Logger: n.log.With("part", "peer"), Registerer: n.registry,
	})
	if err != nil {
		return err
	}
	n.filling.Store(n.filler)
	n.onClose(func() error { n.filler.Close(); return nil })
	return nil
}
