package peer

import (
	"context"

	"github.com/mccd/mccd/peer/holders"
	peerv1 "github.com/mccd/mccd/proto/mccd/peer/v1"
	"github.com/mccd/mccd/ring"
	"github.com/mccd/mccd/storage"
)

// untold notes that this node came to hold bytes of a chunk as an owner. Where
// by its view another node acts for it, which therefore does not know, that one
// is told.
func (f *Filler) untold(key storage.ChunkKey) {
	f.unconfirmed(key)
	if f.Owned(key) {
		return
	}
	a := f.acquiring
	a.mu.Lock()
	a.news++
	a.chunks[key] = a.news
	a.spill(f)
	a.mu.Unlock()
	a.poke()
}

// untoldRecord notes that this node registered a version as its home.
func (f *Filler) untoldRecord(id storage.ObjectID) {
	if f.acts(f.cfg.Placement.View(), placeOf(id, 0)) {
		return
	}
	a := f.acquiring
	a.mu.Lock()
	a.news++
	a.records[id] = a.news
	a.spill(f)
	a.mu.Unlock()
	a.poke()
}

// spill makes the others ask where there is too much to tell. a.mu is held.
func (a *acquiring) spill(f *Filler) {
	if len(a.chunks)+len(a.records) <= maxUntold {
		return
	}
	clear(a.chunks)
	clear(a.records)
	for _, n := range f.cfg.Placement.View().Nodes() {
		a.lapsed[n.ID] = a.news
	}
}

// tidings is what is told to one node.
type tidings struct {
	chunks  []storage.ChunkKey
	records []storage.ObjectID
	lapsed  bool
	upTo    uint64 // the number of news at the time
}

// tidingsMost bounds what one message tells.
const tidingsMost = 1024

// tellKey names the tries to tell node id; those to ask it go by its id.
func tellKey(id string) string { return "tell " + id }

// tell starts to tell what is untold and due.
func (f *Filler) tell(all map[string]*tidings) {
	for id, news := range all {
		key := tellKey(id)
		if !f.acquiring.begin(key) {
			continue
		}
		if !f.detach(func() { f.acquiring.end(key, f.announce(id, news), false) }) {
			f.acquiring.end(key, false, false)
			return
		}
	}
}

// collect sorts what is untold by who acts for it now. What nobody else acts
// for any more is left out for good.
func (f *Filler) collect() map[string]*tidings {
	view := f.cfg.Placement.View()
	a := f.acquiring
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.chunks)+len(a.records)+len(a.lapsed) == 0 {
		return nil
	}
	out := make(map[string]*tidings)
	to := func(id string) *tidings {
		if out[id] == nil {
			out[id] = &tidings{upTo: a.news}
		}
		return out[id]
	}
	for id := range a.lapsed {
		if node, ok := view.ByID(id); ok && node.State != ring.Failed && id != view.Self {
			to(id).lapsed = true
		} else {
			delete(a.lapsed, id) // it starts anew, or is told when it is back
		}
	}
	acting := func(p place) (string, bool) {
		i, ok := view.Acting(uint64(p))
		return nodeID(view, i), ok && int(i) != view.SelfIndex()
	}
	for key := range a.chunks {
		if id, ok := acting(placeOf(key.Object, key.Index)); !ok {
			delete(a.chunks, key)
		} else if t := to(id); len(t.chunks) < tidingsMost {
			t.chunks = append(t.chunks, key)
		}
	}
	for object := range a.records {
		if id, ok := acting(placeOf(object, 0)); !ok {
			delete(a.records, object)
		} else if t := to(id); len(t.records) < tidingsMost {
			t.records = append(t.records, object)
		}
	}
	return out
}

func nodeID(view *ring.View, i uint16) string {
	if n := view.Node(i); n != nil {
		return n.ID
	}
	return ""
}

// announce tells node id the news; false = it could not be told.
func (f *Filler) announce(id string, news *tidings) bool {
	view := f.cfg.Placement.View()
	node, ok := view.ByID(id)
	if !ok || !f.links.usable(node) {
		return false
	}
	m := &peerv1.AnnounceRequest{Caller: view.Self, Epoch: epochToProto(view.Epoch), Lapsed: news.lapsed, Confirm: true}
	var told []holders.Held
	for _, key := range news.chunks {
		if chunk, err := f.cfg.Store.Lookup(key); err == nil {
			told = append(told, holders.Held{Key: key, Have: chunk.Presence()})
			m.Chunks = append(m.Chunks, heldToProto(told[len(told)-1]))
			chunk.Release()
		}
	}
	for _, object := range news.records {
		m.Records = append(m.Records, &peerv1.Kept{Object: object[:], Registration: f.cache.Registration(object)})
	}
	k, err := f.links.to(node)
	if err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(f.ctx, f.cfg.BreakerOpen)
	defer cancel()
	answer, err := k.client.Announce(ctx, m)
	if err != nil {
		f.logger.Debug("node is not told what is held in its place", "node", id, "error", err)
		return false
	}
	f.noteConfirmed(node, told, answer.GetHeld())
	a := f.acquiring
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, key := range news.chunks {
		forgetTold(a.chunks, key, news.upTo)
	}
	for _, object := range news.records {
		forgetTold(a.records, object, news.upTo)
	}
	if news.lapsed {
		forgetTold(a.lapsed, id, news.upTo)
	}
	return true
}

// forgetTold takes out what was told, unless there was more of it since.
func forgetTold[K comparable](m map[K]uint64, k K, upTo uint64) {
	if m[k] <= upTo {
		delete(m, k)
	}
}

// Announce takes what another node holds of this node's partitions.
func (s *service) Announce(ctx context.Context, m *peerv1.AnnounceRequest) (*peerv1.AnnounceResponse, error) {
	_, done, err := s.f.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	if err := s.f.agree(m.GetCaller(), m.GetEpoch(), s.f.cfg.Placement.View().Digest()); err != nil {
		return nil, err
	}
	s.f.see()
	if err := s.f.takeTold(m.GetCaller(), m.GetChunks(), m.GetRecords()); err != nil {
		return nil, err
	}
	if m.GetLapsed() {
		s.f.book.TakeBackOf(m.GetCaller())
		s.f.acquiring.poke()
	}
	answer := &peerv1.AnnounceResponse{}
	if m.GetConfirm() {
		if answer.Held, err = s.f.heldToo(m.GetChunks()); err != nil {
			return nil, err
		}
	}
	return answer, nil
}
