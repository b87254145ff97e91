package state

import (
	"cmp"
	"fmt"
	"slices"
)

// byID orders nodes; those that have no id yet come first, by name.
func byID(a, b Node) int {
	return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Name, b.Name))
}

// edit changes the record of id by f; a record that f leaves as it is changes
// nothing. Who left is not found.
func (t *change) edit(id string, f func(*Node) error) error {
	i := t.nodeAt(id)
	if i < 0 {
		return fmt.Errorf("%.80q: %w", id, ErrNodeUnknown)
	}
	if t.Nodes[i].State == Left {
		if t.Nodes[i].Removed {
			return fmt.Errorf("%s: %w", id, ErrNodeRemoved)
		}
		return fmt.Errorf("%s left: %w", id, ErrNodeUnknown)
	}
	return t.editAt(i, f)
}

func (t *change) editAt(i int, f func(*Node) error) error {
	n := t.Nodes[i]
	if err := f(&n); err != nil {
		return err
	}
	if n == t.Nodes[i] {
		return nil
	}
	if n.State != t.Nodes[i].State {
		n.ChangedUnix = t.now
	}
	t.Nodes, t.changed = slices.Clone(t.Nodes), true
	t.Nodes[i] = n
	slices.SortFunc(t.Nodes, byID)
	return nil
}

func (t *change) activate(c Activate) error {
	return t.edit(c.ID, func(n *Node) error {
		if n.State == Joining {
			n.State = Active
		}
		return nil
	})
}

func (t *change) certify(c Certify) error {
	if !isLine(c.Serial, maxText) || c.NotAfterUnix < 0 {
		return invalid("certificate %.80q", c.Serial)
	}
	return t.edit(c.ID, func(n *Node) error {
		n.CertSerial, n.CertNotAfter = c.Serial, c.NotAfterUnix
		return nil
	})
}

func (t *change) setNodeState(c SetNodeState) error {
	if c.State != Active && c.State != Draining {
		return invalid("node state %d: active or draining", c.State)
	}
	return t.edit(c.ID, func(n *Node) error {
		if !n.Member() {
			return invalid("%s is not a member yet", n.Name)
		}
		n.State = c.State
		return nil
	})
}

func (t *change) setNode(c SetNode) error {
	set := func(n *Node) error {
		if c.Name != nil {
			n.Name = *c.Name
		}
		if c.Zone != nil {
			n.Zone = *c.Zone
		}
		if c.Weight != nil {
			if n.Weight = *c.Weight; n.Weight == 0 {
				return invalid("weight 0: 1 to %d", maxWeight)
			}
		}
		if err := checkNamed(n.Name, n.Zone, n.Weight); err != nil {
			return err
		}
		for _, other := range t.Nodes {
			if other.Name == n.Name && other.State != Left && (other.ID != n.ID || n.ID == "" && c.Name != nil && other.Name != c.ID) {
				return fmt.Errorf("%q: %w", n.Name, ErrNameTaken)
			}
		}
		return nil
	}
	if i := t.preCreatedAt(c.ID); i >= 0 {
		return t.editAt(i, set)
	}
	return t.edit(c.ID, set)
}

// preCreatedAt returns where the pre-created node of this name is, -1 =
// nowhere: it has no id to be called by.
func (t *change) preCreatedAt(name string) int {
	return slices.IndexFunc(t.Nodes, func(n Node) bool { return n.State == PreCreated && n.Name == name })
}

func (t *change) locate(c Locate) error {
	if err := checkAddrs(c.PeerAddr, c.GossipAddr); err != nil {
		return err
	}
	return t.edit(c.ID, func(n *Node) error {
		n.PeerAddr, n.GossipAddr = c.PeerAddr, c.GossipAddr
		return nil
	})
}

// preCreate records a node by its name; again, it replaces that record.
func (t *change) preCreate(c PreCreate) error {
	n := Node{Name: c.Node.Name, Zone: c.Node.Zone, Weight: c.Node.Weight, State: PreCreated, ChangedUnix: t.now}
	if c.Node.ID != "" {
		return invalid("a node that is created before it joins has no id")
	}
	if err := checkNamed(n.Name, n.Zone, n.Weight); err != nil {
		return err
	}
	for _, other := range t.Nodes {
		if other.Name == n.Name && other.State != Left && other.State != PreCreated {
			return fmt.Errorf("%q: %w", n.Name, ErrNameTaken)
		}
	}
	nodes := slices.DeleteFunc(slices.Clone(t.Nodes), func(old Node) bool { return old.State == PreCreated && old.Name == n.Name })
	nodes, err := insertNode(nodes, n)
	if err != nil {
		return err
	}
	t.Nodes, t.changed = nodes, true
	t.result.Node = n
	return nil
}

// removeNode makes a node left; again, nothing, or removed as well. A
// pre-created one is forgotten.
func (t *change) removeNode(c RemoveNode) error {
	i := t.nodeAt(c.ID)
	if i < 0 {
		if i = t.preCreatedAt(c.ID); i < 0 {
			return fmt.Errorf("%.80q: %w", c.ID, ErrNodeUnknown)
		}
		t.Nodes, t.changed = slices.Delete(slices.Clone(t.Nodes), i, i+1), true
		return nil
	}
	if t.Nodes[i].Member() && len(t.Members()) == 1 {
		return invalid("%s is the last node of the cluster", t.Nodes[i].Name)
	}
	return t.editAt(i, func(n *Node) error {
		n.State, n.Removed = Left, n.Removed || c.Removed
		return nil
	})
}
