package peer

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/mccd/mccd/peer/holders"
	peerv1 "github.com/mccd/mccd/proto/mccd/peer/v1"
	"github.com/mccd/mccd/ring"
	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/disk"
)

// inventoryBatch is how many chunks or records one message tells: well below
// 256 KiB.
const inventoryBatch = 2048

// inventoryOf asks want's node what it holds, and returns the partitions of
// which it has told all.
func (f *Filler) inventoryOf(want holders.Want) (holders.Set, error) {
	view := f.cfg.Placement.View()
	node, ok := view.ByID(want.Node)
	if !ok || node.PeerAddr == "" || !f.links.usable(node) {
		return holders.Set{}, errSilent
	}
	k, err := f.links.to(node)
	if err != nil {
		return holders.Set{}, err
	}
	ctx, cancel := context.WithCancelCause(f.ctx)
	defer cancel(nil)
	w := startWatch(k, f.cfg.Silence, cancel)
	defer w.close()
	var stream grpc.ServerStreamingClient[peerv1.InventoryResponse]
	err = w.receive(func() (err error) {
		stream, err = k.client.Inventory(ctx, &peerv1.InventoryRequest{
			Caller: view.Self, Epoch: epochToProto(view.Epoch), ViewDigest: view.Digest(), Partitions: want.Partitions.Bytes(),
		})
		return err
	})
	for err == nil {
		var m *peerv1.InventoryResponse
		if err = w.receive(func() (err error) { m, err = stream.Recv(); return err }); err != nil {
			break
		}
		if err := f.takeTold(want.Node, m.GetChunks(), m.GetRecords()); err != nil {
			return holders.Set{}, err
		}
		if m.GetDone() {
			told, ok := holders.FromBytes(m.GetMarked())
			if !ok {
				return holders.Set{}, errBadMessage
			}
			told = told.Both(&want.Partitions)
			f.book.Mark(want, told)
			return told, nil
		}
	}
	x := exchange{f: f}
	return holders.Set{}, x.ended(ctx, k, err)
}

// takeTold notes what node says that it holds.
func (f *Filler) takeTold(node string, chunks []*peerv1.Held, records []*peerv1.Kept) error {
	held := make([]holders.Held, 0, len(chunks))
	for _, m := range chunks {
		h, err := heldFromProto(m)
		if err != nil {
			return err
		}
		held = append(held, h)
	}
	f.book.Learn(node, held...)
	kept := make([]holders.Record, 0, len(records))
	for _, m := range records {
		r := holders.Record{Registration: m.GetRegistration()}
		if copy(r.ID[:], m.GetObject()) != len(r.ID) || len(m.GetObject()) != len(r.ID) {
			return errBadMessage
		}
		kept = append(kept, r)
	}
	f.book.LearnRecords(node, kept...)
	return nil
}

func keyToProto(key storage.ChunkKey) *peerv1.ChunkKey {
	return &peerv1.ChunkKey{Object: key.Object[:], Version: key.Version[:], Index: key.Index}
}

func keyFromProto(m *peerv1.ChunkKey) (key storage.ChunkKey, err error) {
	if len(m.GetObject()) != len(key.Object) || len(m.GetVersion()) != len(key.Version) {
		return key, errBadMessage
	}
	copy(key.Object[:], m.GetObject())
	copy(key.Version[:], m.GetVersion())
	key.Index = m.GetIndex()
	return key, nil
}

func heldToProto(h holders.Held) *peerv1.Held {
	return &peerv1.Held{Key: keyToProto(h.Key), Presence: &peerv1.Presence{Words: h.Have[:]}}
}

func heldFromProto(m *peerv1.Held) (h holders.Held, err error) {
	if len(m.GetPresence().GetWords()) != len(h.Have) {
		return h, errBadMessage
	}
	copy(h.Have[:], m.GetPresence().GetWords())
	h.Key, err = keyFromProto(m.GetKey())
	return h, err
}

// Inventory tells another node what this one holds of partitions that the other
// acts for.
func (s *service) Inventory(m *peerv1.InventoryRequest, stream grpc.ServerStreamingServer[peerv1.InventoryResponse]) error {
	ctx, done, err := s.f.begin(stream.Context())
	if err != nil {
		return err
	}
	defer done()
	if err := s.f.agree(m.GetCaller(), m.GetEpoch(), m.GetViewDigest()); err != nil {
		return err
	}
	if caller, ok := s.f.cfg.Placement.View().ByID(m.GetCaller()); ok {
		s.f.links.calledBy(caller)
	}
	wanted, ok := holders.FromBytes(m.GetPartitions())
	if !ok {
		return status.Error(codes.InvalidArgument, "partition does not exist")
	}
	var beats beater
	stop := beats.start(s.f.cfg.Heartbeat, func() error { return stream.Send(&peerv1.InventoryResponse{}) })
	defer stop()
	c := &inventoryCall{f: s.f, batch: new(peerv1.InventoryResponse), send: func(m *peerv1.InventoryResponse) error {
		return beats.send(func() error { return stream.Send(m) })
	}}
	err = c.serve(ctx, m.GetCaller(), epochFromProto(m.GetEpoch()), wanted)
	if errors.Is(err, errStopped) {
		return errUnavailable
	}
	if ctx.Err() != nil {
		return status.FromContextError(ctx.Err()).Err()
	}
	return err
}

// inventoryCall is one inventory being told.
type inventoryCall struct {
	f     *Filler
	send  func(*peerv1.InventoryResponse) error
	batch *peerv1.InventoryResponse
}

func (c *inventoryCall) serve(ctx context.Context, caller string, epoch ring.Epoch, wanted holders.Set) error {
	select {
	case c.f.acquiring.answering <- struct{}{}:
		defer func() { <-c.f.acquiring.answering }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case <-c.f.cfg.Store.Indexed(): // before it not all is listed
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if epoch.Newer(c.f.cfg.Placement.View().Epoch) {
		c.f.awaitView(ctx, func(v *ring.View) bool { return !epoch.Newer(v.Epoch) })
	}
	// Only of what the caller acts for by this node's view too: of that it is
	// asked from now on, so that it learns of what comes later.
	marked := actingOf(c.f.cfg.Placement.View(), caller, wanted)
	if !marked.Empty() {
		if err := c.list(ctx, &marked); err != nil {
			return err
		}
	}
	c.batch.Done, c.batch.Marked = true, marked.Bytes()
	return c.send(c.batch)
}

// actingOf returns what of wanted node is the acting owner of.
func actingOf(view *ring.View, node string, wanted holders.Set) (out holders.Set) {
	for p := range wanted.Each {
		if i, ok := view.Acting(uint64(p)); ok && nodeID(view, i) == node {
			out.Add(p)
		}
	}
	return out
}

// list tells the chunks and records of marked: of the drives, of what comes
// from origins at this moment, and of memory.
func (c *inventoryCall) list(ctx context.Context, marked *holders.Set) error {
	c.f.asking.awaitAll(ctx, marked)
	for _, h := range c.f.flights.atOrigin() {
		if marked.Has(holders.PartitionOf(h.Key)) {
			c.batch.Chunks = append(c.batch.Chunks, heldToProto(h))
		}
	}
	all, err := c.f.sweeps.sweep(ctx, c.f)
	if err != nil {
		return fmt.Errorf("list chunks: %w", err)
	}
	objects := make(map[storage.ObjectID]struct{})
	for _, h := range all {
		if marked.Has(holders.HomeOf(h.Key.Object)) {
			objects[h.Key.Object] = struct{}{}
		}
		if marked.Has(holders.PartitionOf(h.Key)) {
			c.batch.Chunks = append(c.batch.Chunks, heldToProto(h))
			if err := c.flush(); err != nil {
				return err
			}
		}
	}
	for _, id := range c.f.cache.Known() {
		if marked.Has(holders.HomeOf(id)) {
			objects[id] = struct{}{}
		}
	}
	for id := range objects {
		c.batch.Records = append(c.batch.Records, &peerv1.Kept{Object: id[:], Registration: c.f.cache.Registration(id)})
		if err := c.flush(); err != nil {
			return err
		}
	}
	return nil
}

// flush sends what is collected once it is enough.
func (c *inventoryCall) flush() error {
	if len(c.batch.Chunks)+len(c.batch.Records) < inventoryBatch {
		return nil
	}
	full := c.batch
	c.batch = new(peerv1.InventoryResponse)
	return c.send(full)
}

// blocksOf returns have with the blocks of span.
func blocksOf(have disk.Bitmap, span storage.Span) disk.Bitmap {
	for i := span.Off / storage.BlockSize; i*storage.BlockSize < span.End; i++ {
		have[i/64] |= 1 << (i % 64)
	}
	return have
}
