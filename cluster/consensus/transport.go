package consensus

import (
	"time"

	"github.com/hashicorp/raft"
)

func (c *Consensus) newTransport(l *layer) *raft.NetworkTransport {
	return raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream: l, MaxPool: poolSize, Timeout: max(3*c.cfg.Timing.Election, 500*time.Millisecond), Logger: c.library.Named("transport"),
	})
}
