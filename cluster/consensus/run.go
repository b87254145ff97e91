package consensus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

const (
	// The State is small: a snapshot is cheap, and a log that is short is soon
	// applied anew at a start.
	snapshotThreshold = 1024
	trailingLogs      = 1024
	snapshotInterval  = 30 * time.Second

	poolSize = 3
	// saveDelay lets changes that come together be written together,
	// saveAgain is the time to the next try.
	saveDelay = 100 * time.Millisecond
	saveAgain = 5 * time.Second
)

// Run takes part until ctx ends, then hands over a leadership, stops Raft,
// saves the State and closes all files and the Stream, so that New may open
// the folder again. It runs once; nil = it ended as asked.
func (c *Consensus) Run(ctx context.Context) error {
	if c.used.Swap(true) {
		return errors.New("run consensus: it was run or closed before")
	}
	defer close(c.stopped)
	layer := newLayer(c.cfg.Stream, c.cfg.ID)
	trans := c.newTransport(layer)
	c.trans.Store(trans)
	r, err := raft.NewRaft(c.raftConfig(), c.machine, c.store, c.store, c.store.snapshots, trans)
	if err != nil {
		_, _, halted := c.machine.now()
		return errors.Join(fmt.Errorf("open raft: %w", err), halted, trans.Close(), c.store.Close())
	}
	observer := raft.NewObserver(nil, false, c.observe)
	r.RegisterObserver(observer)
	c.raft.Store(r)

	var parts sync.WaitGroup
	saving, stopSaving := context.WithCancel(context.WithoutCancel(ctx))
	parts.Go(func() { c.saveStates(saving) })
	steered := make(chan struct{})
	go func() { defer close(steered); c.steer(ctx, r) }()

	<-ctx.Done()
	<-steered
	c.handOver(r)
	down := r.Shutdown()
	layer.hangUp()
	err = down.Error()
	r.DeregisterObserver(observer)
	stopSaving()
	parts.Wait()
	return errors.Join(err, trans.Close(), saveState(c.cfg.StateFile, c.shown.Load()), c.store.Close())
}

// observe tells of changes of the leadership and of the servers. Raft calls it
// from its main loop.
func (c *Consensus) observe(o *raft.Observation) bool {
	switch o.Data.(type) {
	case raft.LeaderObservation, raft.RaftState, raft.PeerObservation:
		c.changed()
	}
	return false
}

func (c *Consensus) raftConfig() *raft.Config {
	t := c.cfg.Timing
	conf := raft.DefaultConfig()
	conf.LocalID = raft.ServerID(c.cfg.ID)
	conf.HeartbeatTimeout, conf.ElectionTimeout, conf.LeaderLeaseTimeout, conf.CommitTimeout = t.Heartbeat, t.Election, t.LeaderLease, t.Commit
	conf.SnapshotThreshold, conf.TrailingLogs, conf.SnapshotInterval = snapshotThreshold, trailingLogs, snapshotInterval
	// Who is removed waits to be told so by the cluster, not by its own end.
	conf.ShutdownOnRemove = false
	conf.NoLegacyTelemetry = true
	conf.Logger = c.library.Named("raft")
	return conf
}

// handOver gives a leadership to another voter, within a bound: whoever comes
// after the stop finds a leader at once.
func (c *Consensus) handOver(r *raft.Raft) {
	if r.State() != raft.Leader || len(c.Quorum().Voters) < 2 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*c.cfg.Timing.Election)
	defer cancel()
	if err := c.transfer(ctx, r); err != nil {
		c.log.Info("the leadership could not be handed over before the stop", "err", err)
	}
}

// saveStates writes each new State soon, and the last one when ctx ends is
// left to Run.
func (c *Consensus) saveStates(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.dirty:
		}
		if !pause(ctx, saveDelay) {
			return
		}
		if err := saveState(c.cfg.StateFile, c.shown.Load()); err != nil {
			c.log.Warn("the state is not kept beside Raft's log", "err", err)
			notify(c.dirty)
			if !pause(ctx, saveAgain) {
				return
			}
		}
	}
}

// pause waits; false = ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// await waits for a future of Raft until ctx or Raft ends. The future's own
// wait goes on until Raft answers it, which it does when a leadership ends.
func (c *Consensus) await(ctx context.Context, f raft.Future) error {
	answer := make(chan error, 1)
	go func() { answer <- f.Error() }()
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-c.stopped:
		return raft.ErrRaftShutdown
	}
}
