package peer

import (
	"context"
	"slices"
	"time"

	"github.com/mccd/mccd/storage"
)

// Standing is how a request stands to what is known of an object's version.
type Standing string

// The standings.
const (
	// StandingFresh: the version is served without asking the origin about it.
	StandingFresh Standing = "fresh"
	// StandingStale: the origin is asked first whether it is still current.
	StandingStale Standing = "stale"
	// StandingAlways: the same, at each request, by the object's rule.
	StandingAlways Standing = "always revalidated"
	// StandingRefuted: the origin was seen to contradict it.
	StandingRefuted Standing = "refuted"
	// StandingUnknown: no version is known at the nodes that were asked.
	StandingUnknown Standing = "unknown"
)

// Explanation is what a request for an object would meet at this node now.
// Nodes are told by their names.
type Explanation struct {
	ID   storage.ObjectID
	Self string
	// Record is the version that a request here would go by, nil = none is known
	// here or at its home; From is the node that has it.
	Record   *storage.Object
	From     string
	Standing Standing
	// Dead is a record that this node keeps and a purge has killed; nil = none.
	Dead *storage.Object
	// Purges is the stamp of the purges in force, Mark the newest that hits the
	// object, nil = none does.
	Purges storage.Stamp
	Mark   *storage.PurgeMark
	// Home are the nodes that may act as home, the owner first.
	Home []Candidate
	// Silent are the nodes that were not reached or did not answer within 2 s:
	// what they hold is not told.
	Silent []string
	// Span is what is explained of the object, Chunks its chunks, More how many
	// chunks of what was asked for come after it.
	Span   storage.Span
	Chunks []ChunkExplanation
	More   int64
	// Next is what the request would do about the version, in sentences.
	Next []string
}

// Candidate is a node that may act for a chunk or as home.
type Candidate struct {
	Node string
	// Why says why it is passed over now, empty = it may be asked.
	Why string
}

// ChunkExplanation tells of one chunk.
type ChunkExplanation struct {
	Index uint32
	// Span is what is wanted of it, in the object's offsets.
	Span storage.Span
	// Order are the owner and its successors, Acting the one that acts now.
	Order  []Candidate
	Acting string
	// Holders are the nodes that hold bytes of it, or are about to.
	Holders []Holder
	// Steps are where a request here would get the wanted bytes from, in order.
	Steps []Step
}

// Holder is a node that has bytes of a chunk, wanted or not.
type Holder struct {
	Node string
	// Bytes are those that it has, Coming those that its Flights bring.
	Bytes, Coming int64
	Flights       int
	// Worth is what the copy is worth there: "owned", "borrowed", "old" or
	// "pinned"; empty = it has none yet.
	Worth string
	// Known tells that the acting owner knows of it.
	Known bool
}

// Step is where bytes would come from.
type Step struct {
	Kind StepKind
	// By is the node that a request's node would ask, or that would ask the
	// origin; From the one whose bytes they are, empty for the origin.
	By, From string
	Bytes    int64
	// Why says so in words.
	Why string
}

// StepKind is a kind of Step.
type StepKind string

// The kinds of step.
const (
	// StepHit: from this node's own drive.
	StepHit StepKind = "hit"
	// StepJoined: by a fill in progress at this node.
	StepJoined StepKind = "joined"
	// StepPeer: from another node.
	StepPeer StepKind = "peer"
	// StepOrigin: from the origin.
	StepOrigin StepKind = "origin"
)

// Explain tells what a request for want of ref would meet at this node now: want
// is as Request.First, and of an object without a known version its first chunk
// is told. It asks other nodes, never the origin, for 2 s at most, and changes
// nothing.
func (f *Filler) Explain(ctx context.Context, ref storage.Ref, rule *storage.Rule, want storage.Span) *Explanation {
	view := f.cfg.Placement.View()
	x := &explaining{f: f, view: view, ref: ref, rule: rule, mute: make(map[string]bool), out: &Explanation{
		ID: ref.ID(), Self: nodeName(view, view.Self), Purges: f.purges().Stamp(), Standing: StandingUnknown,
	}}
	if m, ok := f.purges().Latest(ref); ok {
		x.out.Mark = &m
	}
	x.findRecord(ctx)
	first, count := x.cut(want)
	if x.o != nil {
		x.told, x.silent = f.holdings(ctx, view, x.o, first, count)
		for id, answers := range x.silent {
			x.mute[id] = x.mute[id] || !answers
			x.out.Silent = append(x.out.Silent, nodeName(view, id))
		}
		slices.Sort(x.out.Silent)
	}
	x.out.Home = x.names(x.candidates(placeOf(x.out.ID, 0), ""))
	for i := range uint32(count) {
		x.out.Chunks = append(x.out.Chunks, x.chunk(first+i))
	}
	x.next(first)
	return x.out
}

// FreshLeft returns how much longer e's version may be served without asking the
// origin, at now; 0 = it may not.
func (e *Explanation) FreshLeft(now time.Time) time.Duration {
	if e.Record == nil || e.Standing != StandingFresh {
		return 0
	}
	return max(0, e.Record.FreshFor-now.Sub(e.Record.ValidatedAt))
}
