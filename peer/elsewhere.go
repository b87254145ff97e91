package peer

import (
	"context"
	"sync"

	peerv1 "github.com/mccd/mccd/proto/mccd/peer/v1"
	"github.com/mccd/mccd/storage"
)

// elsewhere asks the other nodes for a record of ref's object: a home that has
// none may be new to that place, or have lost its disk.
func (f *Filler) elsewhere(ctx context.Context, ref storage.Ref, caller string) *storage.Object {
	j := &job{o: &storage.Object{ID: ref.ID()}, ref: ref, caller: caller}
	nodes := f.heldBy(j, 0)
	if len(nodes) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, f.cfg.Silence)
	defer cancel()
	found := make([]*storage.Object, len(nodes))
	var wg sync.WaitGroup
	for i, node := range nodes {
		wg.Go(func() {
			k, err := f.links.to(node)
			if err != nil {
				return
			}
			m, err := k.client.Lookup(ctx, &peerv1.LookupRequest{Ref: refToProto(ref), Epoch: epochToProto(f.cfg.Placement.View().Epoch)})
			if err != nil {
				return // it may be slow: nothing is held against it
			}
			if m.GetRecord() != nil {
				found[i], _ = recordFromProto(ref, m.GetRecord(), f.cfg.Now()) // a malformed one counts as none
			}
		})
	}
	wg.Wait()
	var best *storage.Object
	for _, o := range found {
		if o != nil && (best == nil || o.Registration > best.Registration) {
			best = o
		}
	}
	return best
}
