package consensus

import (
	"testing"

	"github.com/hashicorp/raft"
)

// What waits for a node ends when the node is heard, and when it is removed;
// after that nothing waits for it until it is heard again.
func TestNothingWaitsForTheRemoved(t *testing.T) {
	const id = raft.ServerID("n")
	p := &patient{done: t.Context(), heard: make(map[raft.ServerID]chan struct{}), gone: make(map[raft.ServerID]bool)}
	again := p.next(id)
	waited := make(chan bool, 1)
	go func() { waited <- p.wait(again) }()
	p.release(id)
	<-waited
	if p.wait(p.next(id)) {
		t.Error("a removed server was heard")
	}
	p.hear(id) // it has joined again
	if p.next(id) == nil {
		t.Error("a server that is back is not waited for")
	}
}
