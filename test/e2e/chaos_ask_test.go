package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mccd/mccd/cluster/admin"
	"github.com/mccd/mccd/cluster/state"
	"github.com/mccd/mccd/test/process"
)

// asking calls the admin service of n.
func asking(ctx context.Context, n *process.Node, call func(context.Context, *admin.Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	client, err := admin.Dial(ctx, n.Socket)
	if err != nil {
		return fmt.Errorf("%s: %w", n.Name, err)
	}
	defer func() { _ = client.Close() }()
	if err := call(ctx, client); err != nil {
		return fmt.Errorf("%s: %w", n.Name, err)
	}
	return nil
}

// configOf reads the configuration for certain, by node n.
func configOf(ctx context.Context, n *process.Node) (cfg state.Config, err error) {
	err = asking(ctx, n, func(ctx context.Context, c *admin.Client) error {
		cfg, err = c.Config(ctx, false)
		return err
	})
	return cfg, err
}

// statusOf is n's own picture.
func statusOf(ctx context.Context, n *process.Node) (s admin.Status, err error) {
	err = asking(ctx, n, func(ctx context.Context, c *admin.Client) error {
		s, err = c.Status(ctx)
		return err
	})
	return s, err
}

// writeOnce reads the configuration by n and writes a new limit; it returns
// how long the write took, which is what fails first without a quorum.
func writeOnce(ctx context.Context, n *process.Node, cfg state.Config, value int64) (took time.Duration, err error) {
	cfg.Limits.WANBytesPerSecond = value
	begun := time.Now()
	err = asking(ctx, n, func(ctx context.Context, c *admin.Client) error {
		_, err := c.SetConfig(ctx, cfg.Revision, cfg)
		return err
	})
	return time.Since(begun), err
}

// within polls cond for at most limit.
func (b *bed) within(limit time.Duration, cond func(context.Context) error) (time.Duration, error) {
	begun := time.Now()
	ctx, cancel := context.WithTimeout(b.ctx, limit)
	defer cancel()
	err := process.Poll(ctx, cond)
	return time.Since(begun), err
}

// leader returns the node that leads, when all running nodes agree on it.
func (b *bed) leader() *process.Node {
	b.Helper()
	var found *process.Node
	_, err := b.within(30*time.Second, func(ctx context.Context) error {
		found = nil
		id := ""
		for _, n := range b.Running() {
			s, err := statusOf(ctx, n)
			if err != nil {
				return err
			}
			if s.Cluster.LeaderID == "" || id != "" && s.Cluster.LeaderID != id {
				return fmt.Errorf("%s takes %q for the leader, others %q", n.Name, s.Cluster.LeaderID, id)
			}
			if id = s.Cluster.LeaderID; id == s.NodeID {
				found = n
			}
		}
		if found == nil {
			return errors.New("the leader does not run")
		}
		return nil
	})
	if err != nil {
		b.Fatalf("wait for a leader: %v", err)
	}
	return found
}

// agree waits until the nodes see one another alive, name one leader, have the
// same ring and this many voters, all of them alive.
func (b *bed) agree(limit time.Duration, voters int, nodes ...*process.Node) time.Duration {
	b.Helper()
	took, err := b.within(limit, func(ctx context.Context) error { return agreed(ctx, voters, nodes) })
	if err != nil {
		b.Fatalf("wait until %d nodes agree: %v", len(nodes), err)
	}
	return took
}

func agreed(ctx context.Context, voters int, nodes []*process.Node) error {
	type picture struct{ cluster, epoch, leader, digest string }
	var first picture
	for i, n := range nodes {
		s, err := statusOf(ctx, n)
		if err != nil {
			return err
		}
		p := picture{s.Cluster.ID, s.Cluster.Epoch, s.Cluster.LeaderID, s.ViewDigest}
		if i == 0 {
			first = p
		}
		alive, voting := 0, 0
		for _, m := range s.Nodes {
			if m.State == "alive" {
				alive++
				if m.Voter {
					voting++
				}
			}
		}
		switch {
		case !s.Cluster.Quorum.OK || p.leader == "":
			return fmt.Errorf("%s: no quorum: %s", n.Name, s.Cluster.Quorum.Reason)
		case p != first:
			return fmt.Errorf("%s: %+v, %s: %+v", n.Name, p, nodes[0].Name, first)
		case alive != len(nodes) || voting != voters:
			return fmt.Errorf("%s: %d nodes alive, %d of them vote", n.Name, alive, voting)
		}
	}
	return nil
}

// pauseFor waits between two questions, not for a condition.
func pauseFor(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
