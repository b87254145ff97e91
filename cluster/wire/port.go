package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Port is the one port between nodes. Its methods are for concurrent use.
type Port struct {
	cfg      Config
	log      *slog.Logger
	metrics  *metrics
	gate     *gate
	guests   *gate
	complain *complaints
	corks    *sync.Pool
	server   *tls.Config
	grpc     *handOver
	raft     *handOver
	// waiting bounds the connections that wait to be taken over.
	waiting chan struct{}
	// enforced counts the calls of Enforce.
	enforced atomic.Uint64
	running  atomic.Bool
	// done is closed when nothing more is accepted.
	done     chan struct{}
	doneOnce sync.Once

	mu     sync.Mutex // guards what follows
	open   map[*Conn]struct{}
	closed bool
}

// New checks the Config and starts nothing. DialNode and DialPinned work from
// here on.
func New(cfg Config) (*Port, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	p := &Port{
		cfg:      cfg,
		log:      cfg.Logger,
		metrics:  newMetrics(cfg.Registerer),
		gate:     newGate(cfg.MaxHandshakes, cfg.MaxHandshakes/4),
		guests:   newGate(cfg.MaxGuests, cfg.MaxGuests/8),
		complain: newComplaints(time.Now),
		corks:    newCorks(),
		waiting:  make(chan struct{}, cfg.MaxHandshakes),
		done:     make(chan struct{}),
		open:     make(map[*Conn]struct{}),
	}
	p.grpc = newHandOver(cfg.Listener.Addr(), p.done)
	p.raft = newHandOver(cfg.Listener.Addr(), p.done)
	p.server = p.tlsConfig([]string{ProtocolGRPC, ProtocolRaft})
	p.server.ClientAuth = tls.RequestClientCert
	p.server.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		if cert := p.cfg.Policy.Certificate(); cert != nil {
			return cert, nil
		}
		return nil, errors.New("this node has no certificate yet")
	}
	return p, nil
}

// tlsConfig is what both sides have in common.
func (p *Port) tlsConfig(protocols []string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		NextProtos: protocols,
		// A resumed session would bring back who somebody was.
		SessionTicketsDisabled: true,
		// Large records from the start: this is a LAN, and bulk.
		DynamicRecordSizingDisabled: true,
	}
}

// Addr is where the port listens.
func (p *Port) Addr() net.Addr { return p.cfg.Listener.Addr() }

// GRPC is the listener for the gRPC server: connections with the protocol h2
// and any role, handshake done. Closing it closes nothing else of the port.
func (p *Port) GRPC() net.Listener { return p.grpc }

// AcceptRaft waits for the next Raft connection of a member. After Run it
// returns net.ErrClosed.
func (p *Port) AcceptRaft(ctx context.Context) (*Conn, error) { return p.raft.next(ctx) }

// Run accepts until ctx ends; then it closes the listener and the handshakes
// in progress, and waits for them. Open connections stay: they belong to those
// who took them over, and to Close. It runs once.
func (p *Port) Run(ctx context.Context) error {
	if !p.running.CompareAndSwap(false, true) {
		return errors.New("wire: runs already")
	}
	var wg sync.WaitGroup
	stop := context.AfterFunc(ctx, p.end)
	defer stop()
	err := p.acceptLoop(ctx, &wg)
	p.end()
	wg.Wait()
	return err
}

// acceptLoop takes connections in and hands each to a goroutine of its own.
func (p *Port) acceptLoop(ctx context.Context, wg *sync.WaitGroup) error {
	const least, most = 5 * time.Millisecond, time.Second
	pause := least
	for {
		c, err := p.cfg.Listener.Accept()
		if err == nil {
			pause = least
			e, evicted := p.gate.enter(c, nil)
			if evicted != nil {
				_ = evicted.Close() // its own goroutine tells
			}
			wg.Go(func() { p.take(ctx, c, e) })
			continue
		}
		select {
		case <-p.done:
			return nil
		default:
		}
		if errors.Is(err, net.ErrClosed) {
			return fmt.Errorf("accept other nodes: %w", err)
		}
		// No descriptors, an aborted connection: it may get better.
		p.metrics.failed.Inc()
		p.log.Warn("cannot accept other nodes", "error", err, "again in", pause)
		select {
		case <-time.After(pause):
		case <-p.done:
			return nil
		}
		pause = min(most, 2*pause)
	}
}

// end stops accepting.
func (p *Port) end() {
	p.doneOnce.Do(func() {
		close(p.done)
		_ = p.cfg.Listener.Close() // nothing was written to it
	})
	for _, c := range p.gate.all() {
		_ = c.Close() // unfinished handshakes
	}
}

// Close ends the port and every open connection, without waiting for anything.
func (p *Port) Close() error {
	p.end()
	p.mu.Lock()
	p.closed = true
	conns := make([]*Conn, 0, len(p.open))
	for c := range p.open {
		conns = append(conns, c)
	}
	p.mu.Unlock()
	for _, c := range conns {
		c.cut()
	}
	return nil
}
