package process

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/mccd/mccd/cluster/admin"
)

// Status is a node's own picture.
type Status struct{ admin.Status }

// Status asks the node by its admin service.
func (n *Node) Status(ctx context.Context) (*Status, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	s := new(Status)
	err := n.Admin(ctx, func(ctx context.Context, c *admin.Client) (err error) {
		s.Status, err = c.Status(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Alive returns how many members the node counts alive, itself included.
func (s *Status) Alive() int { return s.count(func(m *admin.Node) bool { return m.State == "alive" }) }

// Active returns how many nodes have a place in the ring.
func (s *Status) Active() int {
	return s.count(func(m *admin.Node) bool { return m.Stage == "active" || m.Stage == "draining" })
}

// Voters returns how many nodes have a vote.
func (s *Status) Voters() int { return s.count(func(m *admin.Node) bool { return m.Voter }) }

func (s *Status) count(which func(*admin.Node) bool) int {
	count := 0
	for i := range s.Nodes {
		if which(&s.Nodes[i]) {
			count++
		}
	}
	return count
}

// Node returns what the status says of the node with this id or name, nil
// where it knows none.
func (s *Status) Node(idOrName string) *admin.Node {
	for i := range s.Nodes {
		if m := &s.Nodes[i]; m.ID == idOrName || m.Name == idOrName && m.Stage != "left" && m.Stage != "removed" {
			return m
		}
	}
	return nil
}

// Ring names the placement that the node computes: nodes with the same text
// place every chunk alike and know that of each other.
func (s *Status) Ring() string {
	return fmt.Sprintf("cluster %.8s epoch %s digest %s", s.Cluster.ID, s.Cluster.Epoch, s.ViewDigest)
}

// Members waits until the node counts exactly want members alive.
func (n *Node) Members(ctx context.Context, want int) error {
	err := n.Await(ctx, func(s *Status) error {
		if alive := s.Alive(); alive != want {
			return fmt.Errorf("%d members alive of %d known", alive, len(s.Nodes))
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("wait until %s counts %d members: %w", n.Name, want, err)
	}
	return nil
}

// Writable waits until the node knows a leader with a quorum: a node that is
// alone elects itself some time after its start.
func (n *Node) Writable(ctx context.Context) error {
	err := n.Await(ctx, func(s *Status) error {
		if q := s.Cluster.Quorum; !q.OK || s.Cluster.LeaderID == "" {
			return fmt.Errorf("leader %q, %s", s.Cluster.LeaderID, q.Reason)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("wait until %s can write: %w", n.Name, err)
	}
	return nil
}

// Await waits until cond is content with the node's status.
func (n *Node) Await(ctx context.Context, cond func(*Status) error) error {
	return Poll(ctx, func(ctx context.Context) error {
		s, err := n.Status(ctx)
		if err != nil {
			return err
		}
		return cond(s)
	})
}

// Await waits until cond is content with the statuses of all nodes that run
// and are not paused, in the order of Nodes.
func (c *Cluster) Await(ctx context.Context, cond func(nodes []*Node, s []*Status) error) error {
	return Poll(ctx, func(ctx context.Context) error {
		nodes := c.Awake()
		statuses, errs := make([]*Status, len(nodes)), make([]error, len(nodes))
		var wg sync.WaitGroup
		for i, n := range nodes {
			wg.Go(func() { statuses[i], errs[i] = n.Status(ctx) })
		}
		wg.Wait()
		if err := errors.Join(errs...); err != nil {
			return err
		}
		return cond(nodes, statuses)
	})
}

// Together waits until every node that runs counts exactly those alive, by their
// present starts, has ended its join, and all compute the same ring.
func (c *Cluster) Together(ctx context.Context) error {
	err := c.Await(ctx, func(nodes []*Node, statuses []*Status) error {
		for i, s := range statuses {
			own := s.Node(s.NodeID)
			switch {
			case s.Alive() != len(nodes):
				return fmt.Errorf("%s counts %d alive, not %d", nodes[i].Name, s.Alive(), len(nodes))
			case own == nil || own.Stage != "active":
				return fmt.Errorf("%s has no place yet", nodes[i].Name)
			}
			for j, other := range statuses {
				if seen := other.Node(s.NodeID); seen == nil || seen.Incarnation != own.Incarnation {
					return fmt.Errorf("%s does not know of the last start of %s", nodes[j].Name, nodes[i].Name)
				}
			}
		}
		return sameRing(nodes, statuses)
	})
	if err != nil {
		return fmt.Errorf("wait until all nodes know one another: %w", err)
	}
	return nil
}

// SameRing waits until all nodes that run compute the same ring, by cluster id,
// epoch and digest, and returns its name.
func (c *Cluster) SameRing(ctx context.Context) (ring string, err error) {
	err = c.Await(ctx, func(nodes []*Node, statuses []*Status) error {
		if err := sameRing(nodes, statuses); err != nil {
			return err
		}
		ring = statuses[0].Ring()
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("wait for the same ring everywhere: %w", err)
	}
	return ring, nil
}

func sameRing(nodes []*Node, statuses []*Status) error {
	for i, s := range statuses {
		if s.Ring() != statuses[0].Ring() {
			return fmt.Errorf("%s has %s, %s has %s", nodes[0].Name, statuses[0].Ring(), nodes[i].Name, s.Ring())
		}
	}
	return nil
}

// Leader waits until all nodes that run know the same leader among them and
// have a quorum, and returns it.
func (c *Cluster) Leader(ctx context.Context) (leader *Node, err error) {
	err = c.Await(ctx, func(nodes []*Node, statuses []*Status) error {
		leader = nil
		for i, s := range statuses {
			switch {
			case !s.Cluster.Quorum.OK:
				return fmt.Errorf("%s: %s", nodes[i].Name, s.Cluster.Quorum.Reason)
			case s.Cluster.LeaderID == "" || s.Cluster.LeaderID != statuses[0].Cluster.LeaderID:
				return fmt.Errorf("%s: the leader is %q, not %q", nodes[i].Name, s.Cluster.LeaderID, statuses[0].Cluster.LeaderID)
			case s.NodeID == s.Cluster.LeaderID:
				leader = nodes[i]
			}
		}
		if leader == nil {
			return errors.New("the leader does not run")
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("wait for a leader: %w", err)
	}
	return leader, nil
}
