package peer

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"

	"github.com/mccd/mccd/peer/holders"
	peerv1 "github.com/mccd/mccd/proto/mccd/peer/v1"
	"github.com/mccd/mccd/ring"
	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/disk"
)

// How a hand-over goes: offers under way at one time, and how often the drives
// are listed again for what came meanwhile.
const (
	offersAtOnce   = 4
	handOverPasses = 3
)

// HandOver gives what this node holds to the nodes that own it in the ring
// without this node, so that it can leave without a byte lost: every chunk that
// no other live node is known to hold in full, and the records. It returns when
// all is taken, else with ctx's error, which says how much is left; what was
// taken stays. progress (may be nil) is told the chunks done and in all, from
// several goroutines. This node is best draining by then, so that little comes
// in addition. It is for one caller at a time.
func (f *Filler) HandOver(ctx context.Context, progress func(done, total int64)) error {
	if progress == nil {
		progress = func(int64, int64) {}
	}
	h := &handOver{f: f, progress: progress, given: make(map[storage.ChunkKey]disk.Bitmap)}
	for range handOverPasses {
		before := h.total.Load()
		if err := h.pass(ctx); err != nil {
			return err
		}
		if h.total.Load() == before {
			return nil // nothing came meanwhile
		}
	}
	return nil
}

// handOver is one hand-over in progress.
type handOver struct {
	f           *Filler
	progress    func(done, total int64)
	done, total atomic.Int64
	given       map[storage.ChunkKey]disk.Bitmap
}

// gift is a chunk or, of an object whose home goes elsewhere, a record.
type gift struct {
	key    storage.ChunkKey
	have   disk.Bitmap
	record bool
}

func (g *gift) place() place {
	if g.record {
		return placeOf(g.key.Object, 0)
	}
	return placeOf(g.key.Object, g.key.Index)
}

// pass hands over all that is held now and was not given yet.
func (h *handOver) pass(ctx context.Context) error {
	all, err := h.f.sweeps.sweep(ctx, h.f)
	if err != nil {
		return fmt.Errorf("list chunks: %w", err)
	}
	var left []gift
	objects := make(map[storage.ObjectID]bool)
	for _, held := range all {
		if given, ok := h.given[held.Key]; ok && given == held.Have {
			continue
		}
		h.given[held.Key] = held.Have
		if !objects[held.Key.Object] {
			objects[held.Key.Object] = true
			left = append(left, gift{key: held.Key, record: true})
		}
		if !h.elsewhere(held) {
			left = append(left, gift{key: held.Key, have: held.Have})
		}
	}
	h.progress(h.done.Load(), h.total.Add(int64(len(left))))
	for wait := firstRetry; len(left) > 0; wait = min(2*wait, lastRetry) {
		if left, err = h.round(ctx, left); err != nil {
			return err
		}
		if len(left) == 0 {
			return nil
		}
		if !h.f.pause(wait) || ctx.Err() != nil {
			return fmt.Errorf("hand over: %d of %d chunks and records are left: %w", len(left), h.total.Load(), h.cause(ctx))
		}
	}
	return nil
}

func (h *handOver) cause(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return context.Cause(h.f.ctx)
}

// elsewhere reports whether another live node is known to have all that this
// one has of a chunk.
func (h *handOver) elsewhere(held holders.Held) bool {
	found := h.f.book.Find(held.Key)
	view := h.f.cfg.Placement.View()
	for id, have := range found.Known {
		node, ok := view.ByID(id)
		if ok && node.State == ring.Alive && len(heldSpans(without(held.Have, have), wholeChunk())) == 0 {
			return true
		}
	}
	return false
}

func without(a, b disk.Bitmap) disk.Bitmap {
	for i := range a {
		a[i] &^= b[i]
	}
	return a
}

func wholeChunk() []storage.Span { return []storage.Span{{End: storage.ChunkSize}} }

// round offers each gift once and returns those that were not taken.
func (h *handOver) round(ctx context.Context, gifts []gift) (left []gift, err error) {
	view := h.f.cfg.Placement.View()
	later, err := ringWithout(view)
	if err != nil {
		return nil, fmt.Errorf("place chunks without this node: %w", err)
	}
	if len(later.Members()) == 0 {
		return nil, nil // the last node takes all with it
	}
	batches := make(map[*ring.Node][]gift)
	var mu sync.Mutex // guards left
	var wg sync.WaitGroup
	slots := make(chan struct{}, offersAtOnce)
	send := func(node *ring.Node, batch []gift) {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			refused := h.offer(ctx, node, batch)
			mu.Lock()
			defer mu.Unlock()
			left = append(left, refused...)
		})
	}
	for _, g := range gifts {
		node := heir(view, later, g.place())
		if node == nil {
			mu.Lock()
			left = append(left, g)
			mu.Unlock()
			continue
		}
		if batches[node] = append(batches[node], g); len(batches[node]) == offerMost {
			send(node, batches[node])
			delete(batches, node)
		}
	}
	for node, batch := range batches {
		send(node, batch)
	}
	wg.Wait()
	return left, nil
}

// ringWithout returns the ring of view without this node.
func ringWithout(view *ring.View) (*ring.Ring, error) {
	var rest []ring.Member
	for _, m := range view.Ring.Members() {
		if m.ID != view.Self {
			rest = append(rest, m)
		}
	}
	return ring.New(rest)
}

// heir returns the node that will act for p, nil when none lives.
func heir(view *ring.View, later *ring.Ring, p place) *ring.Node {
	for _, i := range later.Lookup(uint64(p)) {
		if node, ok := view.ByID(later.Members()[i].ID); ok && node.State == ring.Alive && node.PeerAddr != "" {
			return node
		}
	}
	return nil
}

// offer offers batch to node and returns what it did not take.
func (h *handOver) offer(ctx context.Context, node *ring.Node, batch []gift) []gift {
	f := h.f
	view := f.cfg.Placement.View()
	m := &peerv1.OfferRequest{Caller: view.Self, Epoch: epochToProto(view.Epoch)}
	offered := batch[:0:0]
	var refused []gift
	taken := func() { h.progress(h.done.Add(1), h.total.Load()) }
	for _, g := range batch {
		var described *peerv1.Offered
		var err error
		if g.record {
			described = f.offerRecord(g.key.Object)
		} else if described, err = f.offerToProto(g.key); err != nil {
			f.logger.Debug("chunk cannot be opened to be handed over", "chunk", g.key.String(), "error", err)
			refused = append(refused, g)
			continue
		}
		if described == nil {
			taken() // it is not here any more
			continue
		}
		m.Chunks = append(m.Chunks, described)
		offered = append(offered, g)
	}
	if len(offered) == 0 {
		return refused
	}
	if !f.links.usable(node) {
		return append(refused, offered...)
	}
	k, err := f.links.to(node)
	if err != nil {
		return append(refused, offered...)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(f.ctx, func() { cancel(errStopped) })()
	w := startWatch(k, f.cfg.Silence, cancel)
	defer w.close()
	var stream grpc.ServerStreamingClient[peerv1.OfferResponse]
	err = w.receive(func() (err error) { stream, err = k.client.Offer(ctx, m); return err })
	for err == nil && len(offered) > 0 {
		var answer *peerv1.OfferResponse
		if err = w.receive(func() (err error) { answer, err = stream.Recv(); return err }); err != nil {
			break
		}
		switch answer.GetResult() {
		case peerv1.OfferResponse_RESULT_TAKEN:
			taken()
			offered = offered[1:]
		case peerv1.OfferResponse_RESULT_REFUSED:
			refused = append(refused, offered[0])
			offered = offered[1:]
		case peerv1.OfferResponse_RESULT_UNSPECIFIED:
		}
	}
	if err != nil {
		x := exchange{f: f}
		f.logger.Debug("offer broke off", "node", node.ID, "error", x.ended(ctx, k, err))
	}
	return append(refused, offered...)
}
