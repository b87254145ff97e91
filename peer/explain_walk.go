package peer

import (
	"fmt"

	"github.com/mccd/mccd/ring"
	"github.com/mccd/mccd/storage"
)

// explaining is one Explain.
type explaining struct {
	f    *Filler
	view *ring.View
	ref  storage.Ref
	rule *storage.Rule
	out  *Explanation
	// o is out.Record; told is what nodes have of it, silent who did not tell and
	// whether they answer at all, mute who does not.
	o      *storage.Object
	told   map[string]map[uint32]*holding
	silent map[string]bool
	mute   map[string]bool
	// waits is a node that did not tell its record in time.
	waits string
}

// candidate is a node that may act, and why it is passed over.
type candidate struct {
	node *ring.Node
	why  string
}

// candidates are the nodes that may act for p, in order. whole is the node that
// fills the object whole, empty = the ring's order counts.
func (x *explaining) candidates(p place, whole string) (out []candidate) {
	if whole != "" {
		if n, ok := x.view.ByID(whole); ok {
			out = append(out, candidate{n, x.whyNot(n)})
		}
	}
	for _, i := range x.view.Order(uint64(p)) {
		if n := x.view.Node(i); n.ID != whole {
			out = append(out, candidate{n, x.whyNot(n)})
		}
	}
	return out
}

// whyNot says why a route would pass n over, without asking n whether it lives.
func (x *explaining) whyNot(n *ring.Node) string {
	self := n.ID == x.view.Self
	switch {
	case n.State == ring.Draining:
		return "draining"
	case self && x.f.stoodStill():
		return "stood still"
	case self:
		return ""
	case n.PeerAddr == "" || n.State == ring.Failed && (x.mute[n.ID] || !x.f.links.lively(n)):
		return "failed"
	case x.mute[n.ID]:
		return "does not answer"
	}
	if k, err := x.f.links.to(n); err != nil || k.suspected() {
		return "silent"
	}
	return ""
}

// acting returns the first that may be asked; this node where nobody is left.
func (x *explaining) acting(of []candidate) string {
	for _, c := range of {
		if c.why == "" {
			return c.node.ID
		}
	}
	return x.view.Self
}

func (x *explaining) names(of []candidate) []Candidate {
	out := make([]Candidate, len(of))
	for i, c := range of {
		out[i] = Candidate{Node: nodeName(x.view, c.node.ID), Why: c.why}
	}
	return out
}

// nodeName returns what people call a node.
func nodeName(view *ring.View, id string) string {
	if n, ok := view.ByID(id); ok && n.Name != "" {
		return n.Name
	}
	return id
}

// cut says which chunks are explained.
func (x *explaining) cut(want storage.Span) (first uint32, count int) {
	if x.o == nil {
		want.Off = min(max(0, want.Off), maxOffset)
		want.End = min(max(want.End, want.Off+1), (want.Off/storage.ChunkSize+1)*storage.ChunkSize)
	} else {
		if want.Off < 0 {
			want = storage.Span{Off: max(0, x.o.Size()+want.Off), End: x.o.Size()}
		}
		want = want.Intersect(storage.Span{End: x.o.Size()})
	}
	if x.out.Span = want; want.Empty() {
		return 0, 0
	}
	first = storage.ChunkOf(want.Off)
	all := int64(storage.ChunkOf(want.End-1)-first) + 1
	if x.out.More = all - holdingsMost; x.out.More <= 0 {
		x.out.More = 0
		return first, int(all)
	}
	x.out.Span.End = (int64(first) + holdingsMost) * storage.ChunkSize
	return first, holdingsMost
}

// next says what becomes of the version.
func (x *explaining) next(first uint32) {
	o := x.o
	whole := ""
	if o != nil {
		whole = o.Whole
	}
	say := func(format string, args ...any) { x.out.Next = append(x.out.Next, fmt.Sprintf(format, args...)) }
	owner := x.who(x.acting(x.candidates(placeOf(x.out.ID, first), whole)))
	home := x.who(x.acting(x.candidates(placeOf(x.out.ID, 0), "")))
	there := fmt.Sprintf("%s asks the origin, by leave of the object's home, %s,", owner, home)
	if owner == home {
		there = owner + ", the object's home too, asks the origin"
	}
	if x.out.Dead != nil {
		say("What this node knew of the object was purged: it is as if it had never been fetched.")
	}
	switch x.out.Standing {
	case StandingFresh:
		if x.out.From == x.out.Self {
			say("The version is fresh here: nobody is asked about it.")
		} else {
			say("The version is fresh at %s, from which this node learns it: the origin is not asked about it.", x.out.From)
		}
	case StandingStale:
		say("The version is no longer fresh: %s whether it is still current. What follows holds if it is.", there)
	case StandingAlways:
		say("At each request %s whether the version is still current. What follows holds if it is.", there)
	case StandingRefuted:
		say("The origin was seen to send another version: %s for the current one. What follows is of the old one.", there)
	case StandingUnknown:
		say("No version is known: %s for the first wanted bytes, and learns the version with them.", there)
	}
	if x.waits != "" {
		say("%s did not tell its record in time: it may be asking the origin at this moment.", x.waits)
	}
	if x.out.Standing == StandingStale && mayServeStale(o, x.rule, storage.ErrUpstream) {
		say("If the origin cannot be asked, it is served as it is.")
	}
	if whole != "" {
		say("The object has to be filled whole, from one answer: %s does.", owner)
	}
}

// who names a node in a sentence.
func (x *explaining) who(id string) string {
	if id == x.view.Self {
		return "this node"
	}
	return nodeName(x.view, id)
}
