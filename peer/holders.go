package peer

import (
	"cmp"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/mccd/mccd/peer/holders"
	peerv1 "github.com/mccd/mccd/proto/mccd/peer/v1"
	"github.com/mccd/mccd/ring"
	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/disk"
)

// takeHeld fills what it can of fl from other nodes that hold it: first from
// those that are known to, then from those that have not told yet. What fails
// here is left to the origin.
func (f *Filler) takeHeld(fl *flight, j *job, s *sink) {
	if len(s.missing(fl.span)) == 0 {
		return
	}
	f.noticePause()
	view := f.see()
	found := f.book.Find(fl.key)
	known, ask := f.whomToAsk(view, j, fl.key.Index, &found)
	broke := found.More && s.beyond(fl, &found, known)
	for _, node := range known {
		if silence := f.patience(j, node); silence > 0 && !f.answers(node, time.Duration(silence)) {
			broke = true
			continue
		}
		err := f.takeFrom(fl, j, s, node, found.Known[node.ID])
		broke = broke || err != nil && !errors.Is(err, disk.ErrNotHeld)
	}
	if broke {
		// A holder that is gone may have handed on what it had, and this node
		// may be the last to learn of it.
		_, ask = f.whomToAsk(f.see(), j, fl.key.Index, &holders.Finding{})
	}
	missing := s.missing(fl.span)
	if len(missing) == 0 || len(ask) == 0 {
		return
	}
	f.metrics.unmarkedAsks.Inc()
	held := f.probe(j, fl.key.Index, missing, ask)
	for i, node := range ask {
		f.book.Learn(node.ID, holders.Held{Key: fl.key, Have: held[i]})
		_ = f.takeFrom(fl, j, s, node, held[i]) // the next may have it, or the origin
	}
}

// beyond reports whether something that is missing is known to be at nodes that
// are not among those to be asked.
func (s *sink) beyond(fl *flight, found *holders.Finding, asked []*ring.Node) bool {
	for id, have := range found.Known {
		if !slices.ContainsFunc(asked, func(n *ring.Node) bool { return n.ID == id }) &&
			len(heldSpans(have, s.missing(fl.span))) > 0 {
			return true
		}
	}
	return false
}

// answers reports whether node, which was silent, answers a ping.
func (f *Filler) answers(node *ring.Node, within time.Duration) bool {
	k, err := f.links.to(node)
	return err == nil && f.links.ping(k, within)
}

// takeFrom takes what node has of what is missing. Where it has less than was
// known it is asked what is left.
func (f *Filler) takeFrom(fl *flight, j *job, s *sink, node *ring.Node, have disk.Bitmap) error {
	err := f.takeSpans(fl, j, s, node, have)
	missing := s.missing(fl.span)
	if !errors.Is(err, disk.ErrNotHeld) || len(missing) == 0 {
		return err
	}
	f.book.Forget(node.ID, fl.key)
	left := f.probe(j, fl.key.Index, missing, []*ring.Node{node})[0]
	f.book.Learn(node.ID, holders.Held{Key: fl.key, Have: left})
	return f.takeSpans(fl, j, s, node, left)
}

// takeSpans takes what have says. A node that ended the call because this one was
// slow to take it is asked again, as long as that brings bytes, and one whose
// connection this node's own pause broke.
func (f *Filler) takeSpans(fl *flight, j *job, s *sink, node *ring.Node, have disk.Bitmap) error {
	for {
		stored, err := f.takeOnce(fl, j, s, node, have)
		slow := stored > 0 && errors.Is(err, storage.ErrBusy) && !isLocal(err)
		if !slow && !errors.Is(err, errBroken) {
			return err
		}
	}
}

func (f *Filler) takeOnce(fl *flight, j *job, s *sink, node *ring.Node, have disk.Bitmap) (stored int64, err error) {
	for _, span := range heldSpans(have, s.missing(fl.span)) {
		fl.from.Store(uint32(storage.SourcePeer))
		x := &exchange{f: f, node: node, sink: s, req: f.heldRequest(j, fl.key.Index, span, peerv1.FillRequest_MODE_HELD)}
		err := x.run(fl.ctx, j.ref, 0) // it has just answered, or is not suspected
		f.metrics.fillBytes.WithLabelValues("held").Add(float64(x.stored))
		stored += x.stored
		if err != nil {
			f.logger.Debug("holder did not give what it holds", "node", node.ID, "chunk", fl.key.String(), "error", err)
			return stored, err
		}
	}
	return stored, nil
}

// whomToAsk returns the nodes that are known to hold a chunk, those in this
// node's zone first, and those that may hold it: what they hold is not known.
// The requester is not among them, and of the dead those only that were heard a
// moment ago.
func (f *Filler) whomToAsk(view *ring.View, j *job, index uint32, found *holders.Finding) (known, ask []*ring.Node) {
	seen := map[string]bool{view.Self: true, j.caller: true}
	add := func(node *ring.Node) {
		if seen[node.ID] {
			return
		}
		seen[node.ID] = true
		// A suspect is asked too, with less patience: silence is no proof that
		// it holds nothing.
		if node.PeerAddr == "" || node.State == ring.Failed && !f.links.lively(node) {
			return
		}
		if !found.Known[node.ID].Empty() {
			known = append(known, node)
		}
		if found.MayHold(node.ID) && len(ask) < f.cfg.HeldFanout {
			ask = append(ask, node)
		}
	}
	for _, i := range view.Order(storage.PlacementHash(j.o.ID, index)) {
		add(view.Node(i))
	}
	nodes := view.Nodes()
	for i := range nodes {
		add(&nodes[i])
	}
	zone := ""
	if self := view.Node(uint16(max(0, view.SelfIndex()))); view.SelfIndex() >= 0 && self != nil {
		zone = self.Zone
	}
	slices.SortStableFunc(known, func(a, b *ring.Node) int {
		return cmp.Compare(btoi(a.Zone != zone), btoi(b.Zone != zone))
	})
	return known, ask
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// probe asks nodes, all at once, which blocks they hold. A node that does not
// answer holds nothing for this flight.
func (f *Filler) probe(j *job, index uint32, missing []storage.Span, nodes []*ring.Node) []disk.Bitmap {
	held := make([]disk.Bitmap, len(nodes))
	span := storage.Span{Off: missing[0].Off, End: missing[len(missing)-1].End}
	f.metrics.probes.Add(float64(len(nodes)))
	var wg sync.WaitGroup
	for i, node := range nodes {
		wg.Go(func() {
			for err := errBroken; errors.Is(err, errBroken); {
				x := &exchange{f: f, node: node, req: f.heldRequest(j, index, span, peerv1.FillRequest_MODE_PROBE)}
				if err = x.run(f.ctx, j.ref, f.patience(j, node)); err == nil {
					copy(held[i][:], x.presence.GetWords())
				}
			}
		})
	}
	wg.Wait()
	return held
}

// patience is the silence in nanoseconds after which node is given up; 0 = the
// setting. A node that this one or the requester found silent gets less: it has
// been waited for already.
func (f *Filler) patience(j *job, node *ring.Node) int64 {
	if k, err := f.links.to(node); err == nil && k.suspected() {
		return int64(f.cfg.Silence) / 3
	}
	for _, p := range j.passed {
		if p.GetNode() == node.ID && p.GetReason() == peerv1.PassedOver_REASON_SILENT {
			return int64(f.cfg.Silence) / 3
		}
	}
	return 0
}

func (f *Filler) heldRequest(j *job, index uint32, span storage.Span, mode peerv1.FillRequest_Mode) *peerv1.FillRequest {
	base := j.chunkSpan(index).Off
	ref := j.ref
	ref.Query = "" // nobody goes to the origin with it
	if ref.QueryInKey {
		ref.Query = j.ref.Query
	}
	view := f.cfg.Placement.View()
	return &peerv1.FillRequest{
		Mode: mode, Ref: refToProto(ref), Record: recordToProto(bare(f.vouch(j.o)), f.cfg.Now()),
		Offset: base + span.Off, End: base + span.End, Caller: view.Self,
		ViewDigest: view.Digest(), Epoch: epochToProto(view.Epoch),
	}
}

// heldSpans returns the runs of missing whose blocks are in held, cut at the
// ends of missing.
func heldSpans(held disk.Bitmap, missing []storage.Span) []storage.Span {
	var out []storage.Span
	for _, m := range missing {
		for off := m.Off; off < m.End; {
			end := min((off/storage.BlockSize+1)*storage.BlockSize, m.End)
			if held.Has(int(off / storage.BlockSize)) {
				if n := len(out); n > 0 && out[n-1].End == off {
					out[n-1].End = end
				} else {
					out = append(out, storage.Span{Off: off, End: end})
				}
			}
			off = end
		}
	}
	return out
}
