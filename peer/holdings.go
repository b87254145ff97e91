package peer

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	peerv1 "github.com/mccd/mccd/proto/mccd/peer/v1"
	"github.com/mccd/mccd/ring"
	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/disk"
)

// What one question for holdings may ask for, and how long an answer may take.
const (
	holdingsMost = 1024
	holdingsWait = 2 * time.Second
)

// holding is what a node has of one chunk and knows of it. The zero value has
// and knows nothing.
type holding struct {
	have, coming disk.Bitmap
	flights      int
	worth        disk.Worth // of what is held
	known        map[string]disk.Bitmap
	// asks: at a miss it would ask others too.
	asks bool
}

func (h *holding) empty() bool {
	return h.have.Empty() && h.coming.Empty() && h.flights == 0 && len(h.known) == 0 && !h.asks
}

// holdingOf returns what this node has of a chunk and knows of it. It counts as
// no use and reads no drive where the store tells without.
func (f *Filler) holdingOf(view *ring.View, key storage.ChunkKey) (h holding) {
	if f.notes != nil {
		h.have, _ = f.notes.Presence(key)
	} else if chunk, err := f.cfg.Store.Lookup(key); err == nil {
		h.have = chunk.Presence()
		chunk.Release()
	}
	if !h.have.Empty() {
		by := uint32(0)
		if f.notes != nil {
			by, _ = f.notes.Confirmed(key)
		}
		h.worth = f.Worth(key, by)
	}
	h.coming, h.flights = f.flights.bringing(key)
	found := f.book.Find(key)
	h.known = found.Known
	nodes := view.Nodes()
	for i := range nodes {
		n := &nodes[i]
		h.asks = h.asks || n.ID != view.Self && n.State != ring.Failed && found.MayHold(n.ID)
	}
	return h
}

// bringing returns the blocks of a chunk that flights bring, and how many do.
func (t *flights) bringing(key storage.ChunkKey) (blocks disk.Bitmap, n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, fl := range t.byKey[key] {
		for _, s := range fl.promised([]storage.Span{{End: storage.ChunkSize}}) {
			blocks = blocksOf(blocks, s)
		}
		n++
	}
	return blocks, n
}

// Holdings tells what this node has of chunks and knows of them.
func (s *service) Holdings(ctx context.Context, m *peerv1.HoldingsRequest) (*peerv1.HoldingsResponse, error) {
	_, done, err := s.f.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	view := s.f.cfg.Placement.View()
	if err := s.f.agree("", m.GetEpoch(), view.Digest()); err != nil {
		return nil, err
	}
	key, err := keyFromProto(&peerv1.ChunkKey{Object: m.GetObject(), Version: m.GetVersion(), Index: m.GetFirst()})
	if err != nil || m.GetCount() > holdingsMost {
		return nil, status.Error(codes.InvalidArgument, "the chunks are not well named")
	}
	answer := new(peerv1.HoldingsResponse)
	for range m.GetCount() {
		if h := s.f.holdingOf(view, key); !h.empty() {
			answer.Chunks = append(answer.Chunks, holdingToProto(key.Index, &h))
		}
		key.Index++
	}
	return answer, nil
}

func holdingToProto(index uint32, h *holding) *peerv1.Holding {
	m := &peerv1.Holding{
		Index: index, Presence: &peerv1.Presence{Words: h.have[:]}, Coming: &peerv1.Presence{Words: h.coming[:]},
		Flights: uint32(h.flights), Asks: h.asks,
	}
	if !h.have.Empty() {
		m.Worth = worthToProto(h.worth)
	}
	for node, have := range h.known {
		m.Known = append(m.Known, &peerv1.KnownHolder{Node: node, Presence: &peerv1.Presence{Words: have[:]}})
	}
	return m
}

func worthToProto(w disk.Worth) peerv1.Holding_Worth {
	switch w {
	case disk.WorthOld:
		return peerv1.Holding_WORTH_OLD
	case disk.WorthBorrowed:
		return peerv1.Holding_WORTH_BORROWED
	case disk.WorthPinned:
		return peerv1.Holding_WORTH_PINNED
	default:
		return peerv1.Holding_WORTH_OWNED
	}
}

func worthFromProto(w peerv1.Holding_Worth) disk.Worth {
	switch w {
	case peerv1.Holding_WORTH_OLD:
		return disk.WorthOld
	case peerv1.Holding_WORTH_BORROWED:
		return disk.WorthBorrowed
	case peerv1.Holding_WORTH_PINNED:
		return disk.WorthPinned
	default:
		return disk.WorthOwned
	}
}

func holdingFromProto(m *peerv1.Holding) *holding {
	h := &holding{flights: int(m.GetFlights()), worth: worthFromProto(m.GetWorth()), asks: m.GetAsks()}
	copy(h.have[:], m.GetPresence().GetWords())
	copy(h.coming[:], m.GetComing().GetWords())
	for _, k := range m.GetKnown() {
		if h.known == nil {
			h.known = make(map[string]disk.Bitmap)
		}
		var have disk.Bitmap
		copy(have[:], k.GetPresence().GetWords())
		h.known[k.GetNode()] = have
	}
	return h
}

// holdings asks all nodes that may answer, and this one, for count chunks of o
// from first on. Of those that answered it returns what they have, by chunk; of
// those in silent nobody knows; true = they answer all the same. It suspects
// nobody.
func (f *Filler) holdings(ctx context.Context, view *ring.View, o *storage.Object, first uint32, count int) (told map[string]map[uint32]*holding, silent map[string]bool) {
	told = map[string]map[uint32]*holding{view.Self: make(map[uint32]*holding, count)}
	for i := range uint32(count) {
		h := f.holdingOf(view, o.Key(first+i))
		told[view.Self][first+i] = &h
	}
	silent = make(map[string]bool)
	var mu sync.Mutex // guards told and silent
	var wg sync.WaitGroup
	nodes := view.Nodes()
	for i := range nodes {
		n := &nodes[i]
		if n.ID == view.Self {
			continue
		}
		wg.Go(func() {
			have, err := f.holdingsAt(ctx, view, n, o, first, count)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				silent[n.ID] = status.Code(err) == codes.Unimplemented // an older release
				return
			}
			told[n.ID] = have
		})
	}
	wg.Wait()
	return told, silent
}

func (f *Filler) holdingsAt(ctx context.Context, view *ring.View, n *ring.Node, o *storage.Object, first uint32, count int) (map[uint32]*holding, error) {
	if n.PeerAddr == "" || n.State == ring.Failed && !f.links.lively(n) {
		return nil, errSilent
	}
	k, err := f.links.to(n)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, holdingsWait)
	defer cancel()
	key := o.Key(first)
	m, err := k.client.Holdings(ctx, &peerv1.HoldingsRequest{
		Caller: view.Self, Epoch: epochToProto(view.Epoch), Object: key.Object[:], Version: key.Version[:], First: first, Count: uint32(count),
	}, grpc.WaitForReady(false))
	if err != nil {
		return nil, err
	}
	have := make(map[uint32]*holding, len(m.GetChunks()))
	for _, h := range m.GetChunks() {
		have[h.GetIndex()] = holdingFromProto(h)
	}
	return have, nil
}
