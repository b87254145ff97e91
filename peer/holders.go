package peer

import (
	"sync"

	peerv1 "github.com/mccd/mccd/proto/mccd/peer/v1"
	"github.com/mccd/mccd/ring"
	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/disk"
)

// takeHeld fills what it can of fl from other nodes that hold it. What fails
// here is left to the origin.
func (f *Filler) takeHeld(fl *flight, j *job, s *sink) {
	missing := s.missing(fl.span)
	nodes := f.heldBy(j, fl.key.Index)
	if len(missing) == 0 || len(nodes) == 0 {
		return
	}
	held := f.probe(j, fl.key.Index, missing, nodes)
	for i, node := range nodes {
		for _, span := range heldSpans(held[i], s.missing(fl.span)) {
			fl.from.Store(uint32(storage.SourcePeer))
			x := &exchange{f: f, node: node, sink: s, req: f.heldRequest(j, fl.key.Index, span, peerv1.FillRequest_MODE_HELD)}
			err := x.run(f.ctx, j.ref, 0) // it has just answered
			f.metrics.fillBytes.WithLabelValues("held").Add(float64(x.stored))
			if err != nil {
				f.logger.Debug("holder did not give what it holds", "node", node.ID, "chunk", fl.key.String(), "error", err)
				break
			}
		}
	}
}

// heldBy returns the nodes to ask for what they hold of a chunk: live ones, the
// chunk's own candidates first, the requester not.
func (f *Filler) heldBy(j *job, index uint32) []*ring.Node {
	view := f.cfg.Placement.View()
	var out []*ring.Node
	seen := map[string]bool{view.Self: true, j.caller: true}
	add := func(node *ring.Node) {
		if seen[node.ID] || len(out) >= f.cfg.HeldFanout {
			return
		}
		seen[node.ID] = true
		// A suspect is asked too, with less patience: silence is no proof that
		// it holds nothing.
		if node.PeerAddr != "" && (node.State != ring.Failed || f.links.lively(node)) {
			out = append(out, node)
		}
	}
	for _, i := range view.Order(storage.PlacementHash(j.o.ID, index)) {
		add(view.Node(i))
	}
	nodes := view.Nodes()
	for i := range nodes {
		add(&nodes[i])
	}
	return out
}

// probe asks nodes, all at once, which blocks they hold. A node that does not
// answer holds nothing for this flight.
func (f *Filler) probe(j *job, index uint32, missing []storage.Span, nodes []*ring.Node) []disk.Bitmap {
	held := make([]disk.Bitmap, len(nodes))
	span := storage.Span{Off: missing[0].Off, End: missing[len(missing)-1].End}
	var wg sync.WaitGroup
	for i, node := range nodes {
		wg.Go(func() {
			x := &exchange{f: f, node: node, req: f.heldRequest(j, index, span, peerv1.FillRequest_MODE_PROBE)}
			if err := x.run(f.ctx, j.ref, f.patience(j, node)); err == nil {
				copy(held[i][:], x.presence.GetWords())
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
		Mode: mode, Ref: refToProto(ref), Record: recordToProto(j.o, f.cfg.Now()),
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
