package peer

import (
	"slices"

	peerv1 "github.com/mccd/mccd/proto/mccd/peer/v1"
	"github.com/mccd/mccd/storage"
)

// stoodStillAs reports whether caller, which passed itself over since it stood
// still, does so for nothing as far as this node goes: this one stood still
// itself, so that it did not act in the caller's place meanwhile. If it did from
// now on, both would act: its own requests go to the caller. A third node, which
// may have acted for both, is asked next.
func (f *Filler) stoodStillAs(caller string, passed []*peerv1.PassedOver) bool {
	f.noticePause()
	return f.stoodStill() && slices.ContainsFunc(passed, func(p *peerv1.PassedOver) bool {
		return p.GetNode() == caller && p.GetReason() == peerv1.PassedOver_REASON_SILENT
	})
}

// stoodStillToo is stoodStillAs for a FILL of which nothing is here, nor on its
// way.
func (c *fillCall) stoodStillToo(index uint32, span storage.Span) bool {
	if !c.f.stoodStillAs(c.m.GetCaller(), c.m.GetPassedOver()) {
		return false
	}
	if c.o == nil {
		id := c.ref.ID()
		return c.f.cache.Record(id) == nil && c.f.resolving.ownerAt(id, index) == nil
	}
	return !c.f.holds(c.o, span) && !c.f.brings(c.o, span)
}
