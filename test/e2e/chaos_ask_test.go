package e2e_test

import (
	"context"
	"fmt"
	"time"

	"github.com/mccd/mccd/cluster/state"
	"github.com/mccd/mccd/test/process"
)

// writeOnce writes a new limit over cfg by n; it returns how long that took,
// also where it failed.
func writeOnce(ctx context.Context, n *process.Node, cfg state.Config, value int64) (took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	cfg.Limits.WANBytesPerSecond = value
	begun := time.Now()
	_, err = n.SetConfig(ctx, cfg.Revision, cfg)
	return time.Since(begun), err
}

// config returns the configuration as n tells it, once there is a leader.
func (b *bed) config(n *process.Node) (cfg state.Config) {
	b.Helper()
	if _, err := b.within(electLimit, func(ctx context.Context) (err error) {
		cfg, err = n.Config(ctx, false)
		return err
	}); err != nil {
		b.Fatal(err)
	}
	return cfg
}

// canWrite waits until a write by n is acknowledged.
func (b *bed) canWrite(limit time.Duration, n *process.Node, value int64) time.Duration {
	b.Helper()
	took, err := b.within(limit, func(ctx context.Context) error {
		cfg, err := n.Config(ctx, false)
		if err == nil {
			_, err = writeOnce(ctx, n, cfg, value)
		}
		return err
	})
	if err != nil {
		b.Fatalf("wait until %s can write: %v", n.Name, err)
	}
	return took
}

// within polls cond for at most limit and returns how long it took.
func (b *bed) within(limit time.Duration, cond func(context.Context) error) (time.Duration, error) {
	begun := time.Now()
	ctx, cancel := context.WithTimeout(b.ctx, limit)
	defer cancel()
	err := process.Poll(ctx, cond)
	return time.Since(begun), err
}

// leads returns the node that all running nodes take for the leader.
func (b *bed) leads() *process.Node {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	leader, err := b.Leader(ctx)
	if err != nil {
		b.Fatal(err)
	}
	return leader
}

// agree waits until all running nodes see one another alive, have one leader
// and one ring, and this many live voters.
func (b *bed) agree(limit time.Duration, voters int) time.Duration {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, limit)
	defer cancel()
	begun := time.Now()
	err := b.Await(ctx, func(nodes []*process.Node, statuses []*process.Status) error {
		for i, s := range statuses {
			voting := 0
			for _, m := range s.Nodes {
				if m.State == "alive" && m.Voter {
					voting++
				}
			}
			switch {
			case !s.Cluster.Quorum.OK || s.Cluster.LeaderID == "":
				return fmt.Errorf("%s: no quorum: %s", nodes[i].Name, s.Cluster.Quorum.Reason)
			case s.Cluster.LeaderID != statuses[0].Cluster.LeaderID:
				return fmt.Errorf("%s and %s name two leaders", nodes[i].Name, nodes[0].Name)
			case s.Ring() != statuses[0].Ring():
				return fmt.Errorf("%s has %s, %s has %s", nodes[i].Name, s.Ring(), nodes[0].Name, statuses[0].Ring())
			case s.Alive() != len(nodes) || voting != voters:
				return fmt.Errorf("%s: %d nodes alive, %d of them vote", nodes[i].Name, s.Alive(), voting)
			}
		}
		return nil
	})
	if err != nil {
		b.Fatalf("wait until the nodes agree, with %d voters: %v", voters, err)
	}
	return time.Since(begun)
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
