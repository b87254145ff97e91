package peer

import (
	"context"
	"sync"

	"github.com/mccd/mccd/peer/holders"
	"github.com/mccd/mccd/storage"
)

// asking are the questions that this node has sent to origins, and whose answer
// is not registered yet: who becomes home or owner meanwhile waits for them
// rather than asks too. They wait for the origin and the home alone, which does
// not wait for them. The zero value is ready.
type asking struct {
	mu   sync.Mutex // guards byID
	byID map[storage.ObjectID]*asked
}

// asked is one question; done is closed at its end.
type asked struct {
	index uint32 // the chunk whose bytes come with the answer
	done  chan struct{}
}

// begin notes a question; it is ended by the returned function.
func (t *asking) begin(id storage.ObjectID, index uint32) (end func()) {
	q := &asked{index: index, done: make(chan struct{})}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byID == nil {
		t.byID = make(map[storage.ObjectID]*asked)
	}
	t.byID[id] = q
	return func() {
		t.mu.Lock()
		if t.byID[id] == q {
			delete(t.byID, id)
		}
		t.mu.Unlock()
		close(q.done)
	}
}

// await waits until the question about object id, if there is one, has ended.
func (t *asking) await(ctx context.Context, id storage.ObjectID) {
	t.mu.Lock()
	q := t.byID[id]
	t.mu.Unlock()
	if q == nil {
		return
	}
	select {
	case <-q.done:
	case <-ctx.Done():
	}
}

// awaitAll waits until the questions have ended that concern partitions, as
// home or owner, and are in progress now.
func (t *asking) awaitAll(ctx context.Context, partitions *holders.Set) {
	var all []*asked
	t.mu.Lock()
	for id, q := range t.byID {
		key := storage.ChunkKey{Object: id, Index: q.index}
		if partitions.Has(holders.HomeOf(id)) || partitions.Has(holders.PartitionOf(key)) {
			all = append(all, q)
		}
	}
	t.mu.Unlock()
	for _, q := range all {
		select {
		case <-q.done:
		case <-ctx.Done():
			return
		}
	}
}
