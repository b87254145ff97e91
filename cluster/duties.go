package cluster

import (
	"context"
	"crypto/x509"
	"errors"
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
)

// duties does what a state asks of this node, and of the leader. Everything is
// safe to repeat; what fails is done again by the next call.
func (m *membership) duties(ctx context.Context) {
	st := m.state()
	if st.ClusterID == "" {
		return
	}
	m.founded()
	m.c.port.Enforce()
	m.takeSealing(ctx, st)
	if st.SealingKeyID == m.id.Load().Sealing.ID() {
		m.takeKeyring(st)
		m.takeTrust(st)
		m.renewOwn(st)
	}
	m.gossip.Tell(gossip.Told{Keyring: m.keyring.Load(), ViewDigest: m.c.View().Digest(), Applied: st.Index})
	m.enter(ctx, st)
	m.certify(ctx, st)
	m.book.retain(func(id string) bool {
		n, ok := st.Node(id)
		return !ok || n.State != state.Left || id == m.c.id
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
		}
		return
	}
	if own.Member() && m.joining.Load() {
		if err := m.endJoin(); err != nil {
			m.c.log.Warn("end the join", "err", err)
			return
		}
		m.c.log.Info("is a member", "cluster", st.ClusterID, "members", len(st.Members()))
	}
}

// takeSealing changes to the sealing key that the state names: the one that
// was staged, else what another node gives.
func (m *membership) takeSealing(ctx context.Context, st *state.State) {
	id := *m.id.Load()
	if st.SealingKeyID == id.Sealing.ID() {
		return
	}
	m.filing.Lock()
	staged, ok, err := m.folder.Staged()
	if err == nil && ok && staged.ID() == st.SealingKeyID {
		if id.Sealing, err = m.folder.Promote(); err == nil {
			m.setIdentity(id)
			m.filing.Unlock()
			m.c.log.Info("took the new sealing key")
			return
		}
	}
	m.filing.Unlock()
	if err != nil {
		m.c.log.Error("take the staged sealing key", "err", err)
	}
	m.renew(ctx)
}

// stage keeps a key that a rotation is about to name.
func (m *membership) stage(key identity.SealingKey) error {
	m.filing.Lock()
	defer m.filing.Unlock()
	return m.folder.Stage(key)
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
		m.c.log.Warn("take the gossip keys", "err", err)
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
	if err := m.resign(st, id); err != nil {
		m.c.log.Warn("take the cluster's authorities", "err", err)
	}
}

// renewOwn renews this node's certificate when a third of its life is left.
// Every node has what it takes, so nobody has to be asked.
func (m *membership) renewOwn(st *state.State) {
	id := *m.id.Load()
	leaf, err := x509.ParseCertificate(id.Cert)
	if err != nil {
		m.c.log.Error("own certificate", "err", err)
		return
	}
	now := time.Now()
	if left := leaf.NotAfter.Sub(now); left > leaf.NotAfter.Sub(leaf.NotBefore)/3 && now.After(leaf.NotBefore) {
		return
	}
	m.filing.Lock()
	defer m.filing.Unlock()
	if err := m.resign(st, id); err != nil {
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
	if id.Cert, err = ca.Sign(id.Key.Public(), id.ClusterID, id.NodeID, time.Now(), m.c.cfg.CertLife); err != nil {
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
	for _, n := range m.others() {
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
	id.Cert, id.CAs, id.Sealing = p.GetCertificate(), p.GetCas(), identity.SealingKey(p.GetSealingKey())
	if err := m.folder.Save(id); err != nil {
		return err
	}
	m.setIdentity(id)
	for _, a := range p.GetAddresses() {
		m.book.put(a.GetId(), placeFromProto(a))
	}
	m.wake()
	return nil
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
