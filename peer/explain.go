package peer

import (
	"context"
	"fmt"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	peerv1 "github.com/mccd/mccd/proto/mccd/peer/v1"
	"github.com/mccd/mccd/ring"
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

// findRecord finds the record that a request would go by: this node's own, or
// where that is not fresh what the home has.
func (x *explaining) findRecord(ctx context.Context) {
	if own := x.f.kept(x.out.ID); own != nil {
		if x.o = x.f.judge(own, true); x.o == nil {
			x.out.Dead = own
		}
		x.out.From = x.out.Self
	}
	if x.standing(); x.out.Standing != StandingFresh {
		for _, n := range x.whoseRecord() {
			if o := x.recordOf(ctx, n); o != nil && (x.o == nil || o.Registration > x.o.Registration) {
				x.o, x.out.From = o, nodeName(x.view, n.ID)
			}
		}
		x.standing()
	}
	if x.out.Record = x.o; x.o == nil {
		x.out.From = ""
	}
}

func (x *explaining) standing() {
	switch {
	case x.o == nil:
		x.out.Standing = StandingUnknown
	case x.f.isRefuted(x.o):
		x.out.Standing = StandingRefuted
	case x.rule.RevalidateAlways(x.ref.Path):
		x.out.Standing = StandingAlways
	case !x.o.Fresh(x.f.cfg.Now()):
		x.out.Standing = StandingStale
	default:
		x.out.Standing = StandingFresh
	}
}

// whoseRecord returns the nodes to ask for the record: the acting home, or where
// that is this node, those that are known to have one or have not told.
func (x *explaining) whoseRecord() (out []*ring.Node) {
	home := x.acting(x.candidates(placeOf(x.out.ID, 0), ""))
	if home != x.view.Self {
		n, _ := x.view.ByID(home)
		return []*ring.Node{n}
	}
	have := uint64(0)
	if x.o != nil {
		have = x.o.Registration
	}
	const most = 8
	known, rest := x.f.book.FindRecord(x.out.ID, have)
	nodes := x.view.Nodes()
	for i := range nodes {
		n := &nodes[i]
		wanted := rest.MayHold(n.ID)
		for _, k := range known {
			wanted = wanted || k == n.ID
		}
		if wanted && n.ID != x.view.Self && x.whyNot(n) != "failed" && len(out) < most {
			out = append(out, n)
		}
	}
	return out
}

// recordOf asks n for its record; nil = it has none that counts, or did not say.
func (x *explaining) recordOf(ctx context.Context, n *ring.Node) *storage.Object {
	k, err := x.f.links.to(n)
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, holdingsWait)
	defer cancel()
	ref := x.ref
	if !ref.QueryInKey {
		ref.Query = ""
	}
	m, err := k.client.Lookup(ctx, &peerv1.LookupRequest{Ref: refToProto(ref), Epoch: epochToProto(x.view.Epoch)}, grpc.WaitForReady(false))
	if err != nil {
		if status.Code(err) == codes.DeadlineExceeded {
			x.waits = nodeName(x.view, n.ID)
		} else {
			x.mute[n.ID] = true
		}
		return nil
	}
	if m.GetRecord() == nil {
		return nil
	}
	o, err := recordFromProto(x.ref, m.GetRecord(), x.f.cfg.Now())
	if err != nil {
		return nil
	}
	return x.f.judge(o, false)
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

// FreshLeft returns how much longer e's version may be served without asking the
// origin, at now; 0 = it may not.
func (e *Explanation) FreshLeft(now time.Time) time.Duration {
	if e.Record == nil || e.Standing != StandingFresh {
		return 0
	}
	return max(0, e.Record.FreshFor-now.Sub(e.Record.ValidatedAt))
}
