package peer

import (
	peerv1 "github.com/mccd/mccd/proto/mccd/peer/v1"
	"github.com/mccd/mccd/ring"
	"github.com/mccd/mccd/storage"
)

// route walks the candidates of one chunk: the owner, then its successors. It
// is used by one goroutine.
type route struct {
	f     *Filler
	id    storage.ObjectID
	index uint32
	// whole is the node that owns all chunks of the object; empty = the ring's
	// order counts.
	whole  string
	passed []*peerv1.PassedOver
	// digest and epoch are those of the ring by which next chose last; waited
	// tells that the flight has waited for a newer one.
	digest uint64
	epoch  ring.Epoch
	waited bool
}

// next returns the present acting owner: the first candidate that is alive, not
// suspected and not passed over before. nil means this node: it is the acting
// owner, or nobody else is left.
func (r *route) next() *ring.Node {
	view := r.f.cfg.Placement.View()
	r.digest, r.epoch = view.Digest(), view.Epoch
	index := r.index
	if r.whole != "" {
		if r.whole == view.Self {
			return nil
		}
		if !r.isPassed(r.whole) {
			if node, ok := view.ByID(r.whole); ok && r.mayAsk(node) {
				return node
			} else if !ok {
				r.note(r.whole, peerv1.PassedOver_REASON_FAILED)
			}
		}
		index = 0 // the object's home and its successors act for that node
	}
	for _, i := range view.Order(storage.PlacementHash(r.id, index)) {
		node := view.Node(i)
		if node.ID == view.Self {
			if node.State == ring.Draining {
				r.note(node.ID, peerv1.PassedOver_REASON_DRAINING)
				continue // its successors act for it
			}
			if r.f.stoodStill() {
				r.note(node.ID, peerv1.PassedOver_REASON_SILENT)
				continue
			}
			return nil
		}
		if !r.isPassed(node.ID) && r.mayAsk(node) {
			return node
		}
	}
	return nil
}

// mayAsk reports whether node may be asked now, and notes why if not.
func (r *route) mayAsk(node *ring.Node) bool {
	switch {
	case node.PeerAddr == "" || node.State == ring.Failed && !r.f.links.lively(node):
		r.note(node.ID, peerv1.PassedOver_REASON_FAILED)
	case node.State == ring.Draining:
		r.note(node.ID, peerv1.PassedOver_REASON_DRAINING)
	case !r.f.links.usable(node):
		r.note(node.ID, peerv1.PassedOver_REASON_SILENT)
	default:
		return true
	}
	return false
}

func (r *route) isPassed(id string) bool {
	for _, p := range r.passed {
		if p.GetNode() == id {
			return true
		}
	}
	return false
}

// note adds a candidate that is not asked, and why.
func (r *route) note(id string, why peerv1.PassedOver_Reason) {
	r.passed = append(r.passed, &peerv1.PassedOver{Node: id, Reason: why})
}

// pass notes that a candidate was asked in vain, and why.
func (r *route) pass(id string, why peerv1.PassedOver_Reason) {
	r.note(id, why)
	r.f.metrics.passed.WithLabelValues(reasonLabel(why)).Inc()
}

func reasonLabel(why peerv1.PassedOver_Reason) string {
	switch why {
	case peerv1.PassedOver_REASON_FAILED:
		return "failed"
	case peerv1.PassedOver_REASON_SILENT:
		return "silent"
	case peerv1.PassedOver_REASON_DRAINING:
		return "draining"
	case peerv1.PassedOver_REASON_NOT_OWNER:
		return "not_owner"
	default:
		return "trouble"
	}
}

// actsAsOwner reports whether this node is the acting owner of chunk index of o.
func (f *Filler) actsAsOwner(o *storage.Object, index uint32) bool {
	r := route{f: f, id: o.ID, index: index, whole: o.Whole}
	return r.next() == nil
}
