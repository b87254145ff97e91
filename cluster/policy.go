package cluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/mccd/mccd/cluster/identity"
	"github.com/mccd/mccd/cluster/state"
	"github.com/mccd/mccd/cluster/wire"
)

// policy says who is who on the port between nodes.
//
// A node that the state knows is told by its key: whoever shows the key of a
// record is that node, whichever authority has signed. So authorities rotate
// without a moment in which nodes refuse each other, and a stolen authority
// cannot make a certificate for a known node. Of those that the state does not
// know the authority decides, and they may only announce themselves: its key is
// within reach of every node, so a certificate of it alone proves little.
type policy struct{ c *Cluster }

// Certificate is what this node shows.
func (p policy) Certificate() *tls.Certificate {
	m := p.c.current.Load()
	if m == nil {
		return nil
	}
	return m.certificate.Load()
}

// Identify tells who shows certs.
func (p policy) Identify(certs []*x509.Certificate) (wire.Peer, error) {
	if len(certs) == 0 {
		return wire.Peer{Role: wire.RoleNone}, nil
	}
	m := p.c.current.Load()
	own, st, leaf := m.id.Load(), m.newest(), certs[0]
	clusterID, nodeID, err := identity.NodeOf(leaf)
	if err != nil {
		return wire.Peer{}, err
	}
	if clusterID != own.ClusterID {
		return wire.Peer{}, fmt.Errorf("node %s is of another cluster (%.8s, this is %.8s)", nodeID, clusterID, own.ClusterID)
	}
	who := wire.Peer{NodeID: nodeID, Role: wire.RoleNode}
	n, known := st.Node(nodeID)
	if known && n.Key == identity.KeyDigest(leaf) {
		switch now := p.c.cfg.Now(); {
		case n.State == state.Left:
			who.Role, who.Why = wire.RoleRemoved, state.ErrNodeRemoved.Error()
		case now.After(leaf.NotAfter) || now.Before(leaf.NotBefore):
			who.Role, who.Why = wire.RoleExpired, "the certificate of this node has expired; it is renewed by itself"
		}
		return who, nil
	}
	// A node that left may have come back with another key before this node
	// has heard of it; one that was removed may not.
	if known && (n.State != state.Left || n.Removed) {
		m.meet(nodeID, leaf)
		return wire.Peer{}, fmt.Errorf("node %s shows a key that is not its own", nodeID)
	}
	_, expired, err := identity.CheckPeer(leaf, m.trusted(), own.ClusterID, p.c.cfg.Now())
	switch {
	case err != nil:
		m.meet(nodeID, leaf)
		return wire.Peer{}, err
	case expired:
		return wire.Peer{}, fmt.Errorf("node %s is not known here and its certificate has expired", nodeID)
	}
	m.meet(nodeID, leaf)
	who.Role = wire.RoleUnknown
	return who, nil
}

// stranger is somebody who came as a node of this cluster and is none by what
// this node knows, which may be old.
type stranger struct {
	id, key string
	at      time.Time // monotonic
}

// meet notes that a stranger came, where none is noted.
func (m *membership) meet(id string, leaf *x509.Certificate) {
	if m.raft == nil || m.stranger.Load() != nil {
		return
	}
	m.stranger.CompareAndSwap(nil, &stranger{id: id, key: identity.KeyDigest(leaf), at: time.Now()})
}

// meetStrangers asks for the present state where a stranger is one still after
// a while, more and more rarely: anybody can be one.
func (m *membership) meetStrangers(ctx context.Context) {
	s := m.stranger.Load()
	if s == nil || time.Since(s.at) < strangerPatience {
		return
	}
	if n, known := m.newest().Node(s.id); known && n.Key == s.key {
		m.stranger.Store(nil)
		m.strangerPause = 0
		return
	}
	if !m.asked.IsZero() && time.Since(m.asked) < m.strangerPause {
		return
	}
	before := m.newest()
	m.asked = time.Now()
	m.stranger.Store(nil)
	m.renew(ctx)
	m.strangerPause = min(max(2*m.strangerPause, strangerFirst), strangerLast)
	if m.newest() != before { // it was worth it
		m.strangerPause = strangerFirst
	}
}

// trusted returns the authorities that the state, or else this node's own
// files, name.
func (m *membership) trusted() [][]byte {
	if cas := m.newest().Trust.CAs; len(cas) > 0 {
		return cas
	}
	return m.id.Load().CAs
}
