package peer

import (
	"context"
	"errors"
	"fmt"
	"sync"

	peerv1 "github.com/mccd/mccd/proto/mccd/peer/v1"
	"github.com/mccd/mccd/ring"
	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/disk"
)

// repairsMost bounds the chunks that wait to be repaired; of more the blocks
// stay absent until they are asked for.
const repairsMost = 1024

// repairs is what was found rotten and is to be taken from a holder. The zero
// value is ready.
type repairs struct {
	mu      sync.Mutex // guards what follows
	running bool
	missing map[storage.ChunkKey]disk.Bitmap
}

// Repair has the missing blocks of a chunk, which were found corrupt, taken from
// a node that holds them, never from the origin. It returns at once; what nobody
// holds stays absent until it is asked for.
func (f *Filler) Repair(key storage.ChunkKey, missing disk.Bitmap) {
	t := &f.repairs
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.missing == nil {
		t.missing = make(map[storage.ChunkKey]disk.Bitmap)
	}
	have, queued := t.missing[key]
	if !queued && len(t.missing) >= repairsMost {
		return
	}
	for i := range have {
		have[i] |= missing[i]
	}
	t.missing[key] = have
	if !t.running {
		t.running = f.detach(f.runRepairs)
	}
}

func (f *Filler) runRepairs() {
	t := &f.repairs
	for {
		t.mu.Lock()
		key, missing, ok := t.next()
		t.running = ok
		t.mu.Unlock()
		if !ok {
			return
		}
		if err := f.repair(f.ctx, key, missing); err != nil {
			f.logger.Debug("corrupt blocks are not repaired", "chunk", key.String(), "error", err)
		}
	}
}

// next takes one out. mu is held.
func (t *repairs) next() (key storage.ChunkKey, missing disk.Bitmap, ok bool) {
	for key, missing = range t.missing {
		delete(t.missing, key)
		return key, missing, true
	}
	return key, missing, false
}

// repair takes the missing blocks from whoever holds them.
func (f *Filler) repair(ctx context.Context, key storage.ChunkKey, missing disk.Bitmap) error {
	chunk, err := f.cfg.Store.Lookup(key)
	if err != nil {
		return err
	}
	defer chunk.Release()
	// The file that is there and no new one: what was purged or evicted since does
	// not come back.
	writer, err := chunk.BeginWrite()
	if err != nil {
		return err
	}
	s := &sink{f: f, key: key, version: chunk.Version(), writer: writer}
	defer s.close()
	var errs []error
	base := int64(key.Index) * storage.ChunkSize
	for _, node := range f.whoMayHold(key) {
		for _, span := range heldSpans(missing, s.missing(storage.Span{End: s.length()})) {
			view := f.cfg.Placement.View()
			x := &exchange{f: f, node: node, sink: s, req: &peerv1.FillRequest{
				Mode: peerv1.FillRequest_MODE_HELD, Key: keyToProto(key), Offset: base + span.Off, End: base + span.End,
				Caller: view.Self, ViewDigest: view.Digest(), Epoch: epochToProto(view.Epoch),
			}}
			err := x.run(ctx, storage.Ref{}, 0)
			f.metrics.fillBytes.WithLabelValues("repair").Add(float64(x.stored))
			if err != nil {
				errs = append(errs, fmt.Errorf("node %s: %w", node.ID, err))
				break
			}
		}
	}
	if len(heldSpans(missing, s.missing(storage.Span{End: s.length()}))) == 0 {
		return nil
	}
	return errors.Join(append(errs, disk.ErrNotHeld)...)
}

// whoMayHold returns the nodes to ask for a chunk: those known to hold it, then
// its acting owner, then those that may hold it.
func (f *Filler) whoMayHold(key storage.ChunkKey) (out []*ring.Node) {
	view := f.cfg.Placement.View()
	found := f.book.Find(key)
	add := func(n *ring.Node) {
		if n == nil || n.ID == view.Self || n.PeerAddr == "" || n.State == ring.Failed {
			return
		}
		for _, o := range out {
			if o.ID == n.ID {
				return
			}
		}
		out = append(out, n)
	}
	for id := range found.Known {
		if n, ok := view.ByID(id); ok {
			add(n)
		}
	}
	if i, ok := view.Acting(uint64(placeOf(key.Object, key.Index))); ok {
		add(view.Node(i))
	}
	nodes := view.Nodes()
	for i := range nodes {
		if len(out) >= f.cfg.HeldFanout {
			break
		}
		add(&nodes[i])
	}
	return out
}

// Relist has the other nodes ask again for what this one holds: its store has
// more to tell than what came by the fill, because a drive was added or is back.
func (f *Filler) Relist() {
	a := f.acquiring
	view := f.cfg.Placement.View()
	a.mu.Lock()
	a.news++
	for _, n := range view.Nodes() {
		if n.ID != view.Self {
			a.lapsed[n.ID] = a.news
		}
	}
	a.mu.Unlock()
	a.poke()
}
