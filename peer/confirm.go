package peer

import (
	"context"
	"time"

	"github.com/mccd/mccd/peer/holders"
	peerv1 "github.com/mccd/mccd/proto/mccd/peer/v1"
	"github.com/mccd/mccd/ring"
	"github.com/mccd/mccd/storage"
)

// How copies are confirmed in the background: when after the last change of
// the view, how often in any case, and the rest after each message.
const (
	confirmAfter = 10 * time.Second
	confirmEvery = 10 * time.Minute
	confirmRest  = 20 * time.Millisecond
)

// confirm asks, until ctx ends, the nodes that own the copies that this node
// holds whether they hold them too. Copies of which that is not known stay as
// long as this node's own content.
func (f *Filler) confirm(ctx context.Context) {
	select {
	case <-f.cfg.Store.Indexed():
	case <-ctx.Done():
		return
	case <-f.ctx.Done():
		return
	}
	timer := time.NewTimer(confirmAfter)
	defer timer.Stop()
	for {
		changed := f.changes.next()
		select {
		case <-changed:
			timer.Reset(confirmAfter) // the ring may change again, and the owners are busy
		case <-timer.C:
			f.ConfirmCopies(ctx)
			timer.Reset(confirmEvery)
		case <-ctx.Done():
			return
		case <-f.ctx.Done():
			return
		}
	}
}

// ConfirmCopies asks once, of all copies of other nodes' chunks that are not
// confirmed, whether their owners hold them too, and notes the answers. It
// returns how many copies were confirmed, and how many are of those left. Run
// calls it by itself.
func (f *Filler) ConfirmCopies(ctx context.Context) (confirmed, left int) {
	if f.notes == nil {
		return 0, 0
	}
	all, err := f.sweeps.sweep(ctx, f)
	if err != nil {
		return 0, 0
	}
	batches := make(map[string][]holders.Held)
	send := func(id string) {
		n := f.askConfirm(ctx, id, batches[id])
		confirmed += n
		left += len(batches[id]) - n
		delete(batches, id)
	}
	view := f.cfg.Placement.View()
	for _, held := range all {
		node := f.keeper(view, held.Key, f.cache.Peek(held.Key.Object))
		if node == nil {
			continue
		}
		if by, ok := f.notes.Confirmed(held.Key); !ok || by == confirmedBy(node) {
			continue
		}
		if batches[node.ID] = append(batches[node.ID], held); len(batches[node.ID]) == tidingsMost {
			send(node.ID)
			if !f.pause(confirmRest) || ctx.Err() != nil {
				return confirmed, left
			}
		}
	}
	for id := range batches {
		send(id)
	}
	return confirmed, left
}

// askConfirm asks node id which of batch it holds too, and returns how many.
func (f *Filler) askConfirm(ctx context.Context, id string, batch []holders.Held) int {
	view := f.cfg.Placement.View()
	node, ok := view.ByID(id)
	if !ok || !f.links.usable(node) {
		return 0
	}
	k, err := f.links.to(node)
	if err != nil {
		return 0
	}
	m := &peerv1.AnnounceRequest{Caller: view.Self, Epoch: epochToProto(view.Epoch), Confirm: true}
	for _, held := range batch {
		m.Chunks = append(m.Chunks, heldToProto(held))
	}
	ctx, cancel := context.WithTimeout(ctx, f.cfg.BreakerOpen)
	defer cancel()
	answer, err := k.client.Announce(ctx, m)
	if err != nil {
		f.logger.Debug("owner does not confirm copies", "node", id, "error", err)
		return 0
	}
	return f.noteConfirmed(node, batch, answer.GetHeld())
}

// noteConfirmed notes what node answered of batch, and returns how much it
// confirmed. A copy that has grown meanwhile is not.
func (f *Filler) noteConfirmed(node *ring.Node, batch []holders.Held, bits []byte) (n int) {
	if f.notes == nil {
		return 0
	}
	for i, held := range batch {
		if i/8 >= len(bits) || bits[i/8]>>(i%8)&1 == 0 {
			continue
		}
		if have, ok := f.notes.Presence(held.Key); ok && have == held.Have && f.notes.Confirm(held.Key, confirmedBy(node)) {
			n++
		}
	}
	f.metrics.confirmed.Add(float64(n))
	return n
}

// heldToo returns one bit for each chunk of told: this node holds all that the
// caller does.
func (f *Filler) heldToo(told []*peerv1.Held) ([]byte, error) {
	bits := make([]byte, (len(told)+7)/8)
	if f.notes == nil {
		return bits, nil
	}
	for i, m := range told {
		h, err := heldFromProto(m)
		if err != nil {
			return nil, err
		}
		if have, ok := f.notes.Presence(h.Key); ok && without(h.Have, have).Empty() {
			bits[i/8] |= 1 << (i % 8)
		}
	}
	return bits, nil
}

// unconfirmed notes that what is held of a chunk may be nowhere else.
func (f *Filler) unconfirmed(key storage.ChunkKey) {
	if f.notes != nil {
		f.notes.Confirm(key, 0)
	}
}
