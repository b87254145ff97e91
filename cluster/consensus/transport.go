package consensus

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// patience is how long a failed message waits for its node to be heard again.
const patience = 5 * time.Minute

func (c *Consensus) newTransport(l *layer) *patient {
	return &patient{
		NetworkTransport: raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
			Stream: l, MaxPool: poolSize,
			// No pipelines: when one ends as a newer term is seen, its sender may
			// send once more and then waits for a reader that is gone, also after
			// Shutdown (replication.go, pipelineReplicate). They gain little here.
			MaxRPCsInFlight: 1,
			Timeout:         max(3*c.cfg.Timing.Election, 500*time.Millisecond), Logger: c.library.Named("transport"),
		}),
		done: l.ctx, heard: make(map[raft.ServerID]chan struct{}), gone: make(map[raft.ServerID]bool),
	}
}

// patient holds messages to a node that does not answer until a heartbeat
// reaches it. The library would count each failure and, after a dozen, leave a
// node that is back without entries for 10 s (replication.go, replicateTo);
// its heartbeats have a shorter bound.
type patient struct {
	*raft.NetworkTransport
	done context.Context //nolint:containedctx // the transport's calls carry none

	mu    sync.Mutex // guards what follows
	heard map[raft.ServerID]chan struct{}
	// gone are servers that were removed: nothing is waited for there.
	gone map[raft.ServerID]bool
}

// AppendEntries sends once more when the node is heard again.
func (p *patient) AppendEntries(id raft.ServerID, target raft.ServerAddress, args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	again := p.next(id)
	err := p.NetworkTransport.AppendEntries(id, target, args, resp)
	switch {
	case isHeartbeat(args):
		if err == nil {
			p.hear(id)
		}
	case err != nil && p.wait(again):
		return p.NetworkTransport.AppendEntries(id, target, args, resp)
	}
	return err
}

// InstallSnapshot cannot send again: the library does, with the next snapshot.
func (p *patient) InstallSnapshot(id raft.ServerID, target raft.ServerAddress, args *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader) error {
	again := p.next(id)
	err := p.NetworkTransport.InstallSnapshot(id, target, args, resp, data)
	if err != nil {
		p.wait(again)
	}
	return err
}

// isHeartbeat tells the library's empty messages, which its own transport
// tells the same way.
func isHeartbeat(args *raft.AppendEntriesRequest) bool {
	return args.PrevLogEntry == 0 && args.PrevLogTerm == 0 && len(args.Entries) == 0 && args.LeaderCommitIndex == 0
}

// next returns what is closed when the node is heard next; nil of one that was
// removed.
func (p *patient) next(id raft.ServerID) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone[id] {
		return nil
	}
	if p.heard[id] == nil {
		p.heard[id] = make(chan struct{})
	}
	return p.heard[id]
}

func (p *patient) hear(id raft.ServerID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.gone, id)
	if p.heard[id] != nil {
		close(p.heard[id])
		delete(p.heard, id)
	}
}

// release ends what waits for a server that is removed, so that the library's
// goroutines for it end too.
func (p *patient) release(id raft.ServerID) {
	p.hear(id)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gone[id] = true
}

// wait reports whether the node was heard, rather than Raft stopped or patience
// lost.
func (p *patient) wait(again <-chan struct{}) bool {
	if again == nil {
		return false
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-again:
		return true
	case <-timer.C:
	case <-p.done.Done():
	}
	return false
}
