package state

import (
	"fmt"
	"slices"
)

// admit takes a node in. The order of the checks is the order of what an
// operator is to be told first: the token, the node, its name.
func (t *change) admit(c Admit) error {
	token := slices.IndexFunc(t.Tokens, func(old Token) bool { return old.Hash == c.TokenHash && c.TokenHash != "" })
	if token < 0 {
		return ErrTokenUnknown
	}
	n := c.Node
	former := t.nodeAt(n.ID)
	if former >= 0 && t.again(token, former, n) {
		t.result.Node = t.Nodes[former]
		return nil
	}
	if err := usable(t.Tokens[token], t.now); err != nil {
		return err
	}
	if err := checkNode(n); err != nil {
		return err
	}
	if n.JoinKey == "" {
		return invalid("no joining key")
	}
	if v := t.Version.Number; v < n.MinVersion || v > n.MaxVersion {
		return fmt.Errorf("%w: it is %d, and this release runs %d to %d", ErrIncompatible, v, n.MinVersion, n.MaxVersion)
	}
	if former >= 0 {
		if err := t.returns(t.Nodes[former], n, c.Replaces); err != nil {
			return err
		}
	}
	// The record's place is taken by the new one.
	nodes := slices.DeleteFunc(slices.Clone(t.Nodes), func(old Node) bool { return old.ID == n.ID })
	nodes, err := t.takeName(nodes, &n, c.Replaces)
	if err != nil {
		return err
	}
	if n.Weight == 0 {
		n.Weight = t.weightOf(n.DriveBytes)
	}
	n.State, n.Removed, n.ChangedUnix = Joining, false, t.now
	if t.Nodes, err = insertNode(nodes, n); err != nil {
		return err
	}
	t.use(token, n.JoinKey)
	t.result.Node, t.changed = n, true
	return nil
}

// again reports whether this is the repetition of an admission that was
// answered, or whose answer was lost: same token, same key, same joining key.
func (t *change) again(token, former int, n Node) bool {
	old := t.Nodes[former]
	return old.State != Left && n.JoinKey != "" && old.JoinKey == n.JoinKey && old.Key == n.Key &&
		slices.Contains(t.Tokens[token].Joined, n.JoinKey)
}

// returns says whether the id of a record may be taken by n: one that left
// may come back, a removed one with a new key only; one that still joins when
// it shows the same key. Who is a member may have a vote, which a node that
// comes empty must not use: it is to leave first, or to be told to replace
// itself by someone who knows that it is dead.
func (t *change) returns(old, n Node, replaces string) error {
	switch {
	case old.State == Left && old.Removed && old.Key == n.Key:
		return ErrNodeRemoved
	case old.State == Left, old.State == Joining && old.Key == n.Key, replaces == n.ID:
		return nil
	}
	return fmt.Errorf("node id %s: %w", n.ID, ErrNameTaken)
}

// takeName gives n its name in nodes: what was pre-created under it is taken
// over, a dead node that n replaces leaves.
func (t *change) takeName(nodes []Node, n *Node, replaces string) ([]Node, error) {
	if replaces != "" && replaces != n.ID {
		i := slices.IndexFunc(nodes, func(old Node) bool { return old.ID == replaces })
		if i < 0 {
			return nil, fmt.Errorf("replace %.80q: %w", replaces, ErrNodeUnknown)
		}
		if nodes[i].Name != n.Name {
			return nil, invalid("%q cannot replace %q: another name", n.Name, nodes[i].Name)
		}
		if nodes[i].State != Left {
			nodes[i].State, nodes[i].Removed, nodes[i].ChangedUnix = Left, false, t.now
		}
	}
	for i := 0; i < len(nodes); i++ {
		old := nodes[i]
		if old.Name != n.Name || old.State == Left {
			continue
		}
		if old.State != PreCreated {
			return nil, fmt.Errorf("%q: %w", n.Name, ErrNameTaken)
		}
		if old.Zone != "" {
			n.Zone = old.Zone
		}
		if old.Weight != 0 {
			n.Weight = old.Weight
		}
		nodes = slices.Delete(nodes, i, i+1)
		i--
	}
	return nodes, nil
}

// insertNode returns nodes, which it may write, with n in its place. Where
// there are too many, the one that left longest ago and was not removed is
// forgotten.
func insertNode(nodes []Node, n Node) ([]Node, error) {
	if len(nodes) >= maxNodes {
		oldest := -1
		for i, old := range nodes {
			if old.State == Left && !old.Removed && (oldest < 0 || old.ChangedUnix < nodes[oldest].ChangedUnix) {
				oldest = i
			}
		}
		if oldest < 0 {
			return nil, invalid("%d nodes are the most", maxNodes)
		}
		nodes = slices.Delete(nodes, oldest, oldest+1)
	}
	nodes = append(nodes, n)
	slices.SortFunc(nodes, byID)
	return nodes, nil
}
