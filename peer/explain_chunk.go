package peer

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/disk"
)

// chunk explains one chunk.
func (x *explaining) chunk(index uint32) ChunkExplanation {
	whole := ""
	if x.o != nil {
		whole = x.o.Whole
	}
	at := index
	if whole != "" {
		at = 0 // the object's home and its successors act for that node
	}
	order := x.candidates(placeOf(x.out.ID, at), whole)
	acting := x.acting(order)
	c := ChunkExplanation{
		Index: index, Order: x.names(order), Acting: nodeName(x.view, acting),
		Span: x.out.Span.Intersect(storage.Span{Off: int64(index) * storage.ChunkSize, End: (int64(index) + 1) * storage.ChunkSize}),
	}
	if x.o == nil {
		c.Steps = []Step{{Kind: StepOrigin, By: c.Acting, Bytes: c.Span.Len(), Why: fmt.Sprintf("%s acts as owner, and no version is known", x.who(acting))}}
		return c
	}
	x.holders(&c, acting)
	x.steps(&c, acting)
	return c
}

// at returns what node told of a chunk; nothing where it did not.
func (x *explaining) at(node string, index uint32) *holding {
	if h := x.told[node][index]; h != nil {
		return h
	}
	return new(holding)
}

// holders lists who has bytes of c, the acting owner first, then this node.
func (x *explaining) holders(c *ChunkExplanation, acting string) {
	cs := storage.ChunkSpan(x.o.Size(), c.Index)
	all := []storage.Span{cs.Shift(-cs.Off)}
	known := x.at(acting, c.Index).known
	ids := []string{acting, x.view.Self}
	for _, n := range x.view.Nodes() {
		ids = append(ids, n.ID)
	}
	for i, id := range ids {
		h := x.at(id, c.Index)
		if slices.Contains(ids[:i], id) || h.have.Empty() && h.flights == 0 {
			continue
		}
		holder := Holder{
			Node: nodeName(x.view, id), Bytes: lengthOf(h.have, all), Coming: lengthOf(without(h.coming, h.have), all), Flights: h.flights,
			Known: id == acting || !known[id].Empty(),
		}
		if !h.have.Empty() {
			holder.Worth = worthName(h.worth)
		}
		c.Holders = append(c.Holders, holder)
	}
}

// lengthOf returns how many bytes of spans lie in the blocks of have.
func lengthOf(have disk.Bitmap, spans []storage.Span) (n int64) {
	for _, s := range heldSpans(have, spans) {
		n += s.Len()
	}
	return n
}

func worthName(w disk.Worth) string {
	switch w {
	case disk.WorthOld:
		return "old"
	case disk.WorthBorrowed:
		return "borrowed"
	case disk.WorthPinned:
		return "pinned"
	default:
		return "owned"
	}
}

// steps says where the wanted bytes of c would come from: the way of a fill.
func (x *explaining) steps(c *ChunkExplanation, acting string) {
	base := int64(c.Index) * storage.ChunkSize
	left := []storage.Span{c.Span.Shift(-base)}
	take := func(have disk.Bitmap, s Step) {
		held := heldSpans(have, left)
		for _, h := range held {
			s.Bytes += h.Len()
			left = subtract(left, h)
		}
		if s.Bytes > 0 {
			c.Steps = append(c.Steps, s)
		}
	}
	own := x.at(x.view.Self, c.Index)
	take(own.have, Step{Kind: StepHit, By: x.out.Self, From: x.out.Self, Why: "hit from this node's drive"})
	take(own.coming, Step{Kind: StepJoined, By: x.out.Self, Why: "joins a fill in progress at this node"})
	if acting != x.view.Self {
		owner := x.at(acting, c.Index)
		take(owner.have, Step{Kind: StepPeer, By: c.Acting, From: c.Acting, Why: "peer fill from " + c.Acting})
		take(owner.coming, Step{Kind: StepPeer, By: c.Acting, From: c.Acting, Why: fmt.Sprintf("peer fill from %s, which is getting it", c.Acting)})
	}
	unknown := x.elsewhere(c, acting, take)
	rest := int64(0)
	for _, s := range left {
		rest += s.Len()
	}
	if rest == 0 {
		return
	}
	if acting != x.view.Self && x.told[acting] == nil {
		c.Steps = append(c.Steps, Step{
			Kind: StepPeer, By: c.Acting, Bytes: rest, Why: fmt.Sprintf("peer fill from %s, or by it: what it holds is not known", c.Acting),
		})
		return
	}
	c.Steps = append(c.Steps, Step{Kind: StepOrigin, By: c.Acting, Bytes: rest, Why: x.whyOrigin(c, acting, left, unknown)})
}

// elsewhere lets take have what the acting owner would get by HELD, and returns
// the nodes that hold the chunk without that it would learn of them.
func (x *explaining) elsewhere(c *ChunkExplanation, acting string, take func(disk.Bitmap, Step)) (unknown []string) {
	owner := x.at(acting, c.Index)
	for _, n := range x.view.Nodes() {
		h := x.at(n.ID, c.Index)
		if n.ID == acting || n.ID == x.view.Self || h.have.Empty() {
			continue
		}
		if known := owner.known[n.ID]; known.Empty() && !owner.asks {
			unknown = append(unknown, n.ID)
			continue
		}
		name := nodeName(x.view, n.ID)
		why := fmt.Sprintf("peer fill from %s, which has it from %s", c.Acting, name)
		if acting == x.view.Self {
			why = "peer fill from " + name
		}
		take(h.have, Step{Kind: StepPeer, By: c.Acting, From: name, Why: why})
	}
	return unknown
}

func (x *explaining) whyOrigin(c *ChunkExplanation, acting string, left []storage.Span, unknown []string) string {
	why := x.who(acting) + " acts as owner"
	if len(c.Order) > 0 && c.Order[0].Node != c.Acting {
		why = fmt.Sprintf("%s acts for %s (%s)", x.who(acting), c.Order[0].Node, c.Order[0].Why)
	}
	var has []string
	for _, id := range unknown {
		if lengthOf(x.at(id, c.Index).have, left) > 0 {
			has = append(has, nodeName(x.view, id))
		}
	}
	switch {
	case len(has) > 0:
		return fmt.Sprintf("%s and has not learned that %s holds it", why, strings.Join(has, ", "))
	case len(x.silent) > 0:
		return fmt.Sprintf("%s and no node that answers holds it", why)
	default:
		return why + " and no node holds it"
	}
}
