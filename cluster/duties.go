package cluster

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/mccd/mccd/cluster/gossip"
	"github.com/mccd/mccd/cluster/identity"
	"github.com/mccd/mccd/cluster/state"
	clusterv1 "github.com/mccd/mccd/proto/mccd/cluster/v1"
)

const (
	// dutyInterval is how often duties are looked at where nothing changes.
	dutyInterval = time.Second
	// rotationPatience is how long a rotation waits for nodes that are alive
	// and have not taken a key in; a node that missed it asks for the keys
	// over the port between nodes.
	rotationPatience = 30 * time.Second
	// strangerPatience is how long one who is not known is waited for to become
	// known by the state; strangerFirst and strangerLast are between two questions
	// about such, renewAtMost is how many nodes one asks.
	strangerPatience            = 500 * time.Millisecond
	strangerFirst, strangerLast = 5 * time.Second, 5 * time.Minute
	renewAtMost                 = 5
	// toldFor is how long a told state counts that this node does not apply.
	toldFor = time.Minute
)

// duties does what a state asks of this node, and of the leader. Everything is
// safe to repeat; what fails is done again by the next call.
func (m *membership) duties(ctx context.Context) {
	st := m.state()
	if st.ClusterID == "" {
		return
	}
	m.founded()
	m.meetStrangers(ctx)
	m.takeSealing(ctx)
	if now := m.newest(); now.SealingKeyID == m.id.Load().Sealing.ID() {
		m.takeKeyring(now)
		m.takeTrust(now)
		m.renewOwn(now)
	}
	m.gossip.Tell(gossip.Told{Keyring: m.keyring.Load(), ViewDigest: m.c.View().Digest(), Applied: st.Index})
	if _, led := m.raft.Leader(); led { // else there is nobody to write to
		m.enter(ctx, st)
		m.certify(ctx, st)
	}
	m.forgetFormer(st)
	m.book.retain(func(id string) bool {
		n, ok := m.newest().Node(id)
		return ok && n.State != state.Left
	})
	if m.raft.IsLeader() {
		m.rotateGossip(ctx, st)
		m.locate(ctx, st)
	}
}

// enter gives this node its place once it knows the state that admitted it,
// and ends the join then.
func (m *membership) enter(ctx context.Context, st *state.State) {
	own, ok := st.Node(m.c.id)
	if !ok {
		return
	}
	if own.State == state.Joining {
		if _, err := m.submit(ctx, state.Activate{ID: m.c.id}); err != nil {
			m.c.log.Debug("enter the ring", "err", err)
			if m.complain("enter") {
				m.c.log.Warn("this node has no place in the cluster yet; it is tried again", "err", err)
			}
		}
		return
	}
	if own.Member() && m.entering.Load() {
		if err := m.endJoin(); err != nil {
			m.c.log.Warn("end the join", "err", err)
			return
		}
		m.c.log.Info("is a member", "cluster", st.ClusterID, "members", len(st.Members()))
	}
}

// takeSealing changes to the sealing key that the state names: the one that
// was staged, else what another node gives.
func (m *membership) takeSealing(ctx context.Context) {
	id, err := m.promoteStaged(*m.id.Load())
	if err != nil && m.complain("staged") {
		m.c.log.Error("take the staged sealing key", "err", err)
	}
	if m.newest().SealingKeyID != id.Sealing.ID() {
		m.renew(ctx)
	}
}

// takeKeyring gives gossip the keys of the state.
func (m *membership) takeKeyring(st *state.State) {
	if st.Gossip.Version == m.keyring.Load() {
		return
	}
	keys, err := m.keys(st)
	if err == nil {
		err = m.gossip.SetKeys(keys.Keys)
	}
	if err != nil {
		if m.complain("keyring") {
			m.c.log.Warn("take the gossip keys", "err", err)
		}
		return
	}
	m.keyring.Store(st.Gossip.Version)
	m.c.log.Info("took gossip keys", "version", st.Gossip.Version, "keys", len(keys.Keys))
}

// takeTrust keeps the authorities of the state, for the next start.
func (m *membership) takeTrust(st *state.State) {
	id := *m.id.Load()
	if slices.EqualFunc(st.Trust.CAs, id.CAs, slices.Equal) || len(st.Trust.CAs) == 0 {
		return
	}
	m.filing.Lock()
	defer m.filing.Unlock()
	// The certificate follows at once: files never hold one that their
	// authorities do not vouch for.
	if err := m.resign(st, id); err != nil && m.complain("authorities") {
		m.c.log.Warn("take the cluster's authorities", "err", err)
	}
}

// renewAtLeast is the least time between two renewals of a certificate whose
// authority ends so soon that none lasts.
const renewAtLeast = time.Minute

// renewOwn renews this node's certificate when a third of its life is left,
// not counting the day by which its beginning is dated back. Every node has
// what it takes, so nobody has to be asked.
func (m *membership) renewOwn(st *state.State) {
	id := *m.id.Load()
	leaf, err := x509.ParseCertificate(id.Cert)
	if err != nil {
		if m.complain("certificate") {
			m.c.log.Error("own certificate", "err", err)
		}
		return
	}
	now := m.c.cfg.Now()
	third := m.c.cfg.CertLife / 3
	if leaf.NotAfter.Sub(now) > third && now.After(leaf.NotBefore) {
		return
	}
	if !m.renewed.IsZero() && time.Since(m.renewed) < min(renewAtLeast, third) {
		return
	}
	m.renewed = time.Now()
	m.filing.Lock()
	defer m.filing.Unlock()
	if err := m.resign(st, id); err != nil && m.complain("renewal") {
		m.c.log.Warn("renew own certificate", "err", err, "expires", leaf.NotAfter)
	}
}

// resign makes this node's certificate anew under the authority of st.
// m.filing is held.
func (m *membership) resign(st *state.State, id identity.Identity) error {
	ca, err := m.ca(st)
	if err != nil {
		return err
	}
	if id.Cert, err = ca.Sign(id.Key.Public(), id.ClusterID, id.NodeID, m.c.cfg.Now(), m.c.cfg.CertLife); err != nil {
		return err
	}
	id.CAs = st.Trust.CAs
	if err := m.folder.Save(id); err != nil {
		return err
	}
	m.setIdentity(id)
	m.c.log.Info("renewed own certificate")
	return nil
}

// certify records this node's certificate, for status.
func (m *membership) certify(ctx context.Context, st *state.State) {
	id := m.id.Load()
	own, ok := st.Node(m.c.id)
	serial := serialOf(id.Cert)
	if !ok || !own.Member() || own.CertSerial == serial {
		return
	}
	leaf, err := x509.ParseCertificate(id.Cert)
	if err != nil {
		return
	}
	_, err = m.submit(ctx, state.Certify{ID: m.c.id, Serial: serial, NotAfterUnix: leaf.NotAfter.Unix()})
	if err != nil {
		m.c.log.Debug("record own certificate", "err", err)
	}
}

func serialOf(der []byte) string {
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return ""
	}
	return leaf.SerialNumber.Text(16)
}

// renew asks other nodes for this node's identity anew.
func (m *membership) renew(ctx context.Context) {
	key := m.id.Load().Key
	others := m.others()
	slices.SortStableFunc(others, func(a, b string) int { return int(one(m.alive(b)) - one(m.alive(a))) })
	for _, n := range others[:min(len(others), renewAtMost)] {
		client, err := m.node(n)
		if err != nil {
			continue
		}
		cctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		answer, err := client.Renew(cctx, &clusterv1.RenewRequest{PublicKey: key.Public()})
		cancel()
		if err != nil {
			m.noteRefusal(err)
			m.c.log.Debug("renew identity", "node", n, "err", err)
			continue
		}
		if err := m.takeIdentity(answer.GetIdentity()); err != nil {
			m.c.log.Warn("take the renewed identity", "node", n, "err", err)
			continue
		}
		m.c.log.Info("took a renewed identity", "from", n)
		return
	}
}

// takeIdentity keeps an identity that another node gave for this node's key.
func (m *membership) takeIdentity(p *clusterv1.Identity) error {
	m.filing.Lock()
	defer m.filing.Unlock()
	id := *m.id.Load()
	if len(p.GetSealingKey()) != len(id.Sealing) || p.GetClusterId() != id.ClusterID {
		return errors.New("it is not of this cluster")
	}
	st, err := state.Unmarshal(p.GetState())
	if err != nil {
		return err
	}
	if n, ok := st.Node(m.c.id); !ok || n.Key != id.Key.Digest() {
		return state.ErrNodeUnknown
	}
	now := m.newest()
	switch {
	case st.ClusterID != id.ClusterID:
		return errors.New("its state is not of this cluster")
	case st.Generation > now.Generation+1:
		return fmt.Errorf("its state is of recovery generation %d, this node's of %d", st.Generation, now.Generation)
	case further(now, st):
		return errors.New("it knows less than this node")
	}
	sealing := identity.SealingKey(p.GetSealingKey())
	if sealing != id.Sealing || !slices.EqualFunc(p.GetCas(), id.CAs, slices.Equal) || m.expired(id) {
		id.Cert, id.CAs, id.Sealing = p.GetCertificate(), p.GetCas(), sealing
		if err := m.folder.Save(id); err != nil {
			return err
		}
		m.setIdentity(id)
	}
	m.told.Store(&told{st, time.Now()}) // before the addresses: it says who is known
	for _, a := range p.GetAddresses() {
		m.book.put(a.GetId(), placeFromProto(a))
	}
	m.wake()
	return nil
}

// told is a State that another node gave.
type told struct {
	state *state.State
	at    time.Time // monotonic
}

// further reports whether a is a later State than b.
func further(a, b *state.State) bool {
	return a.Generation > b.Generation || a.Generation == b.Generation && a.Index > b.Index
}

// expired reports whether others refuse the certificate of id.
func (m *membership) expired(id identity.Identity) bool {
	leaf, err := x509.ParseCertificate(id.Cert)
	now := m.c.cfg.Now()
	return err != nil || now.After(leaf.NotAfter) || now.Before(leaf.NotBefore)
}

// forgetFormer removes a log that was set aside, once the new one stands.
func (m *membership) forgetFormer(st *state.State) {
	if m.tidied || m.raft.Quorum().LastIndex == 0 || st.Generation < m.c.relearned.Load() {
		return
	}
	if err := m.c.folders.clear(filepath.Join(memberFolder, raftFolder+formerSuffix)); err != nil {
		if m.complain("former") {
			m.c.log.Warn("remove the former log", "err", err)
		}
		return
	}
	m.tidied = true
}

// others returns the ids of the other members and of those joining.
func (m *membership) others() []string {
	var ids []string
	for _, n := range m.state().Nodes {
		if n.ID != "" && n.ID != m.c.id && n.State != state.Left {
			ids = append(ids, n.ID)
		}
	}
	return ids
}

// locate records addresses that changed, for nodes that start with nothing
// else.
func (m *membership) locate(ctx context.Context, st *state.State) {
	for _, n := range st.Members() {
		p, ok := m.book.of(n.ID)
		if !ok || p.Peer == n.PeerAddr && p.Gossip == n.GossipAddr {
			continue
		}
		if _, err := m.submit(ctx, state.Locate{ID: n.ID, PeerAddr: p.Peer, GossipAddr: p.Gossip}); err != nil {
			m.c.log.Debug("record an address", "node", n.Name, "err", err)
			return
		}
	}
}
