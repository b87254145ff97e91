package cluster

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"

	"github.com/mccd/mccd/cluster/identity"
	"github.com/mccd/mccd/cluster/state"
	"github.com/mccd/mccd/cluster/wire"
)

// policy says who is who on the port between nodes.
//
// A node that the state knows is told by its key: whoever shows the key of a
// record is that node, whichever authority has signed. So authorities rotate
// without a moment in which nodes refuse each other, and a stolen authority
// cannot make a certificate for a known node. The authority decides of those
// that the state does not know yet.
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
		m.meet()
		return wire.Peer{}, fmt.Errorf("node %s shows a key that is not its own", nodeID)
	}
	_, expired, err := identity.CheckPeer(leaf, m.trusted(), own.ClusterID, p.c.cfg.Now())
	switch {
	case err != nil:
		m.meet()
		return wire.Peer{}, err
	case expired:
		return wire.Peer{}, fmt.Errorf("node %s is not known here and its certificate has expired", nodeID)
	}
	return who, nil
}

// meet notes that somebody of this cluster came who is not known here: this
// node may have been away for long.
func (m *membership) meet() {
	if !m.stranger.Swap(true) {
		m.wake()
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
