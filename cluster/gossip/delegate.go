package gossip

import (
	"errors"
	"fmt"

	"github.com/hashicorp/memberlist"
)

// maxMembers bounds the runs of nodes that are members at a time: twice what a
// cluster may have.
const maxMembers = 4000

var errFull = errors.New("too many members")

// delegate is what memberlist calls back. It holds memberlist's own locks
// while it does, so nothing here blocks or calls it.
type delegate Gossip

// NodeMeta returns what this node says of itself.
func (d *delegate) NodeMeta(int) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.meta
}

// NotifyMsg takes no messages.
func (d *delegate) NotifyMsg([]byte) {}

// GetBroadcasts has none.
func (d *delegate) GetBroadcasts(int, int) [][]byte { return nil }

// LocalState sends nothing with a push/pull.
func (d *delegate) LocalState(bool) []byte { return nil }

// MergeRemoteState takes nothing.
func (d *delegate) MergeRemoteState([]byte, bool) {}

// NotifyAlive refuses a node that says unusable things of itself: it is not
// let in, and the library logs the reason.
func (d *delegate) NotifyAlive(n *memberlist.Node) error {
	m, err := decodeMeta(n.Meta)
	if err != nil {
		return err
	}
	if !memberName(n.Name, m.ID) {
		return fmt.Errorf("%w: %.80q does not belong to node %s", ErrMeta, n.Name, m.ID)
	}
	if err := d.full(n.Name); err != nil {
		return err
	}
	if d.cfg.Admit != nil && m.ID != d.cfg.NodeID {
		return d.cfg.Admit(m.ID)
	}
	return nil
}

// full refuses one more run of a node where there are too many: whoever has a
// key can name as many as it likes.
func (d *delegate) full(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.members[name]; !ok && len(d.members) >= maxMembers {
		return errFull
	}
	return nil
}

// NotifyJoin takes a node in.
func (d *delegate) NotifyJoin(n *memberlist.Node) { d.learn(n) }

// NotifyUpdate takes a node's new metadata.
func (d *delegate) NotifyUpdate(n *memberlist.Node) { d.learn(n) }

// NotifyLeave drops a node that failed or left; the library does not say
// which.
func (d *delegate) NotifyLeave(n *memberlist.Node) {
	d.mu.Lock()
	delete(d.members, n.Name)
	d.mu.Unlock()
	nudge(d.changes)
	nudge(d.lost)
}

func (d *delegate) learn(n *memberlist.Node) {
	m, err := decodeMeta(n.Meta)
	d.mu.Lock()
	if err != nil {
		// NotifyAlive has seen the same bytes.
		delete(d.members, n.Name)
	} else {
		m.GossipAddr = n.Address()
		d.members[n.Name] = m
	}
	d.mu.Unlock()
	nudge(d.changes)
}
