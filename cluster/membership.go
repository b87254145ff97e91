package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mccd/mccd/cluster/consensus"
	"github.com/mccd/mccd/cluster/gossip"
	"github.com/mccd/mccd/cluster/identity"
	"github.com/mccd/mccd/cluster/state"
	"github.com/mccd/mccd/ring"
)

// membership is a node's part in one cluster, from the folder that keeps it.
// Entering another cluster replaces it as a whole.
type membership struct {
	c      *Cluster
	dir    string
	folder *identity.Folder
	// id is who this node is, certificate what it shows of it.
	id          atomic.Pointer[identity.Identity]
	certificate atomic.Pointer[tls.Certificate]
	book        *book
	stream      *raftStream
	calls       *callers
	// raft and gossip are nil while a node with a join secret waits for a
	// cluster to be founded.
	raft   *consensus.Consensus
	gossip *gossip.Gossip

	// These are used by duties alone.
	rotating       rotation
	asked, renewed time.Time // monotonic
	strangerPause  time.Duration
	tidied         bool
	// outdated tells that a change for a later generation is under way; forked
	// names a node of another history of the same generation, nil = none.
	outdated atomic.Bool
	forked   atomic.Pointer[string]

	registry *prometheus.Registry
	woken    chan struct{} // of 1: something has changed
	due      chan struct{} // of 1: there may be something to do
	// joining tells that this node asks another cluster for admission, entering
	// that it was admitted to this one and has no place yet: it admits nobody
	// meanwhile.
	joining, entering atomic.Bool
	// told is a state that another node gave with an identity, and that this
	// node has not applied yet; stranger tells that somebody came whom this
	// node's knowledge is too old to know.
	told     atomic.Pointer[told]
	stranger atomic.Pointer[stranger]
	complaints
	staging
	// settled tells that every known address was tried since the start;
	// presumed are the members held for alive until then.
	settled  atomic.Bool
	presumed map[string]bool
	// refused is why the cluster does not know this node any more, nil while
	// it does.
	refused atomic.Pointer[string]
	// keyring is the version of the keyring that gossip has.
	keyring atomic.Uint64
}

// open opens the membership in the data directory; it starts nothing.
func (c *Cluster) open() (m *membership, err error) {
	dir := c.folders.path(memberFolder)
	m = &membership{
		c: c, dir: dir, woken: make(chan struct{}, 1), due: make(chan struct{}, 1), presumed: make(map[string]bool),
		registry: prometheus.NewRegistry(),
	}
	m.book = openBook(dir, c.id, c.log, m.knows)
	if m.folder, err = identity.OpenFolder(dir); err != nil {
		return nil, err
	}
	id, err := m.folder.Load()
	if err != nil {
		return nil, err
	}
	if id.NodeID != c.id {
		return nil, fmt.Errorf("%s is of node %s, and this node is %s: do not copy data directories", dir, id.NodeID, c.id)
	}
	m.setIdentity(id)
	m.calls = newCallers(c)
	m.stream = newRaftStream(m)
	if _, joining, err := loadIntent(dir); err != nil {
		return nil, err
	} else if joining {
		m.entering.Store(true)
	}
	forming, err := exists(filepath.Join(dir, formingFile))
	if err != nil {
		return nil, err
	}
	if forming {
		return m, nil
	}
	if m.raft, err = m.openRaft(); err != nil {
		return nil, err
	}
	if id, err = m.promoteStaged(id); err != nil {
		return nil, errors.Join(err, m.raft.Close())
	}
	if err := m.openGossip(); err != nil {
		return nil, errors.Join(err, m.raft.Close())
	}
	if c.draining.Load() {
		m.gossip.SetDraining(true)
	}
	if st := m.state(); st.ClusterID != "" && st.SealingKeyID == id.Sealing.ID() {
		m.renewOwn(st) // before anybody sees an expired one
	}
	for _, n := range m.state().Members() {
		if n.ID != c.id {
			m.presumed[n.ID] = true
		}
	}
	if c.cfg.Registerer != nil {
		// What an earlier membership registered has gone with it.
		if err := c.cfg.Registerer.Register(m.registry); err != nil {
			c.log.Warn("metrics of the replicated state are not shown", "err", err)
		}
	}
	return m, nil
}

func (m *membership) openRaft() (*consensus.Consensus, error) {
	founding, err := loadFounding(m.dir)
	if err != nil {
		return nil, err
	}
	return consensus.New(consensus.Config{
		Dir: filepath.Join(m.dir, raftFolder), StateFile: filepath.Join(m.dir, stateFile), ID: m.c.id,
		Stream: m.stream, Bootstrap: founding, Stats: m.statsOf, Alive: m.alive,
		Timing: m.c.cfg.Raft, Logger: m.c.log.With("part", "raft"), Registerer: m.registry,
	})
}

func (m *membership) openGossip() error {
	c, st := m.c, m.state()
	version := m.gossipOf(st).Version
	keys, err := m.keys(st)
	if err != nil {
		// A rotation went on while this node was away. It cannot gossip until
		// another node has given it the keys, over the port between nodes.
		c.log.Warn("the gossip keys cannot be opened; they are asked for", "err", err)
		version = 0
		if keys, err = identity.NewKeyring(); err != nil {
			return err
		}
	}
	m.gossip, err = gossip.New(gossip.Config{
		NodeID: c.id, Name: c.cfg.Name, Zone: c.cfg.Zone, PeerAddr: c.cfg.PeerAddr,
		Incarnation: c.nextIncarnation(m.book), FormatVersion: ring.FormatVersion,
		Bind: c.bind, Advertise: c.cfg.Advertise, Label: m.id.Load().ClusterID, Keys: keys.Keys,
		Known: m.known, Admit: m.admits, Allow: c.cfg.Allow, Timing: c.cfg.Timing, Logger: c.log.With("part", "gossip"),
	})
	if err != nil {
		return err
	}
	// The port stays for the life of the process, also in another cluster.
	c.bind = m.gossip.Bound()
	m.keyring.Store(version)
	m.book.say(c.id, m.own())
	m.book.save()
	return nil
}

func (m *membership) setIdentity(id identity.Identity) {
	certificate := id.TLSCertificate()
	m.id.Store(&id)
	m.certificate.Store(&certificate)
}

// own is where this node is.
func (m *membership) own() place {
	p := place{Peer: m.c.cfg.PeerAddr, Incarnation: m.c.incarnation.Load()}
	if m.gossip != nil {
		p.Gossip = m.gossip.Addr()
	} else {
		p.Gossip = m.c.cfg.PeerAddr // not dialled: the node gossips with nobody yet
	}
	return p
}

// gossipOf returns the keyring record of st, or of the founding command while
// nothing is applied.
func (m *membership) gossipOf(st *state.State) state.Keyring {
	if st.ClusterID == "" {
		if founding, err := loadFounding(m.dir); err == nil && founding != nil {
			return founding.Gossip
		}
	}
	return st.Gossip
}

// keys opens the gossip keys of st.
func (m *membership) keys(st *state.State) (identity.Keyring, error) {
	raw, err := m.id.Load().Sealing.Open(keyringPurpose, m.gossipOf(st).Sealed)
	if err != nil {
		return identity.Keyring{}, fmt.Errorf("open the gossip keys: %w", err)
	}
	return identity.UnmarshalKeyring(raw)
}

// state returns the replicated state as far as this node knows it; never nil.
func (m *membership) state() *state.State {
	if m.raft == nil {
		return new(state.State)
	}
	return m.raft.State()
}

// wake has duties look again.
func (m *membership) wake() { nudge(m.woken) }

// run lives the membership until ctx is done. Raft stops first, since handing
// leadership on needs the others; then gossip.
func (m *membership) run(ctx context.Context) error {
	defer m.close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if m.raft == nil {
		return m.form(ctx)
	}
	gossiping, stopGossip := context.WithCancel(context.WithoutCancel(ctx))
	defer stopGossip()
	raftDone, gossipDone, rest := make(chan error, 1), make(chan error, 1), make(chan struct{})
	go func() { raftDone <- m.raft.Run(ctx) }()
	go func() { gossipDone <- m.gossip.Run(gossiping) }()
	go func() {
		defer close(rest)
		var wg sync.WaitGroup
		wg.Go(func() { m.follow(ctx) })
		wg.Go(func() { m.attend(ctx) })
		wg.Go(func() { m.announce(ctx) })
		wg.Wait()
	}()
	var err error
	select {
	case err = <-raftDone:
		raftDone <- nil
		err = orEnded(ctx, "replicated state", err)
	case err = <-gossipDone:
		gossipDone <- nil
		err = orEnded(ctx, "gossip", err)
	case <-ctx.Done():
	}
	cancel()
	err = errors.Join(err, <-raftDone)
	stopGossip()
	err = errors.Join(err, <-gossipDone)
	<-rest
	m.book.save()
	return err
}

func orEnded(ctx context.Context, what string, err error) error {
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", what, err)
	case ctx.Err() == nil:
		return fmt.Errorf("%s ended by itself", what)
	default:
		return nil
	}
}

// close releases what the membership holds beside what its parts' Run do.
func (m *membership) close() {
	m.calls.close()
	if m.c.cfg.Registerer != nil {
		m.c.cfg.Registerer.Unregister(m.registry)
	}
}

// discard releases a membership that was never run.
func (m *membership) discard() error {
	m.close()
	var errs []error
	if m.gossip != nil {
		errs = append(errs, m.gossip.Close())
	}
	if m.raft != nil {
		errs = append(errs, m.raft.Close())
	}
	return errors.Join(errs...)
}

// follow publishes what changes, until ctx is done.
func (m *membership) follow(ctx context.Context) {
	ticker := time.NewTicker(dutyInterval)
	defer ticker.Stop()
	settled := m.gossip.Settled()
	var judged enforced
	for {
		m.enforce(&judged)
		select {
		case <-ctx.Done():
			return
		case <-m.raft.Changes():
		case <-m.gossip.Changes():
			m.learnAddresses()
		case <-settled:
			settled = nil
			m.settled.Store(true)
		case <-m.woken:
		case <-ticker.C:
		}
		m.c.nudge()
		nudge(m.due)
	}
}

// attend does this node's duties whenever they may have changed.
func (m *membership) attend(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.due:
			m.duties(ctx)
		}
	}
}

// learnAddresses takes what gossip tells of where nodes are into the book.
func (m *membership) learnAddresses() {
	for _, n := range m.gossip.Members() {
		m.book.put(n.ID, place{Peer: n.PeerAddr, Gossip: n.GossipAddr, Incarnation: n.Incarnation})
	}
	m.book.save()
}

// knows reports whether the state has a record of the node id.
func (m *membership) knows(id string) bool {
	if m.raft == nil {
		return false
	}
	_, known := m.newest().Node(id)
	return known
}

// where returns the present address of the node id between nodes. One that
// joins has none before it has spoken: until then it is of its former cluster.
func (m *membership) where(id string) (string, bool) {
	n, known := m.state().Node(id)
	if known && n.State == state.Joining && id != m.c.id && !m.book.hasHeard(id) && !m.alive(id) {
		return "", false
	}
	if p, ok := m.book.of(id); ok {
		return p.Peer, true
	}
	if known && n.PeerAddr != "" {
		return n.PeerAddr, true
	}
	return "", false
}

// newest returns the state that this node knows, the one that another node
// told included.
func (m *membership) newest() *state.State {
	st, told := m.state(), m.told.Load()
	if told == nil {
		return st
	}
	if !further(told.state, st) || time.Since(told.at) > toldFor {
		m.told.CompareAndSwap(told, nil)
		return st
	}
	return told.state
}

// alive tells gossip's opinion of a node.
func (m *membership) alive(id string) bool {
	if id == m.c.id {
		return true
	}
	if m.gossip == nil {
		return false
	}
	for _, n := range m.gossip.Members() {
		if n.ID == id {
			return true
		}
	}
	return false
}

// known returns the gossip addresses that the rejoin loop tries.
func (m *membership) known() []string {
	var addrs []string
	for _, n := range m.state().Members() {
		if n.ID == m.c.id {
			continue
		}
		if p, ok := m.book.of(n.ID); ok {
			addrs = append(addrs, p.Gossip)
		} else if n.GossipAddr != "" {
			addrs = append(addrs, n.GossipAddr)
		}
	}
	return addrs
}

// admits refuses the gossip of a node that is no member any more. One that is
// not known yet may be: its keys prove that it was admitted.
func (m *membership) admits(id string) error {
	if n, ok := m.raft.State().Node(id); ok && n.State == state.Left {
		return fmt.Errorf("node %s: %w", id, state.ErrNodeRemoved)
	}
	return nil
}
