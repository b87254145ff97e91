package holders

import (
	"sync"

	"github.com/mccd/mccd/ring"
	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/disk"
)

// PerChunk is how many holders of a chunk are kept at most.
const PerChunk = 4

// Book is what this node knows as acting owner. All methods are safe for
// concurrent use.
type Book struct {
	limit int

	mu sync.Mutex // guards what follows
	// clock numbers what happens, so that an answer is not taken for newer than
	// the question.
	clock uint64
	acts  Set
	// lost is when this node last stopped to act for a partition.
	lost  [ring.Partitions]uint64
	peers map[string]*peer
	// ids gives the node of a number; numbers are not used again, so that what
	// is known of a node that was forgotten ends with its number.
	ids     map[uint32]string
	lastNum uint32
	parts   map[int]*part
	entries int
}

// peer is what is known of another node.
type peer struct {
	num         uint32
	incarnation uint64
	failed      bool
	marked      Set
	reset       uint64 // when its marks were last taken back
}

// part is what is known of one partition.
type part struct {
	chunks  map[storage.ChunkKey]*entry
	records map[storage.ObjectID][]kept
	// open: something was not noted for want of room, so that the others have
	// to be asked.
	open bool
}

// entry is what is known of one chunk.
type entry struct {
	held []holding
	// open: there are more holders than are kept, and they may have other
	// blocks. more: there are, with blocks that those kept have too.
	open, more bool
}

type holding struct {
	have disk.Bitmap
	num  uint32
}

// kept is a node that may have a record.
type kept struct {
	registration uint64
	num          uint32
}

// New returns a Book of at most limit chunks and records. A chunk with one
// holder takes about 200 bytes, each further holder 24.
func New(limit int) *Book {
	return &Book{
		limit: limit, peers: make(map[string]*peer), ids: make(map[uint32]string), parts: make(map[int]*part),
	}
}

// See takes the present view, never an older one after a newer, and returns the nodes that are seen alive again
// after having been seen failed. Where this node no longer acts for a partition
// it forgets it; where a node is another incarnation, or was failed, its marks
// are taken back.
func (b *Book) See(v *ring.View) (returned []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	self := v.SelfIndex()
	var acts Set
	if self >= 0 {
		for p := range ring.Partitions {
			if i, ok := v.Acting(uint64(p)); ok && int(i) == self {
				acts.Add(p)
			}
		}
	}
	b.clock++
	gone := b.acts.Without(&acts)
	for p := range gone.Each {
		b.dropPart(p)
	}
	b.acts = acts
	seen := make(map[string]bool, len(b.peers))
	nodes := v.Nodes()
	for i := range nodes {
		n := &nodes[i]
		if n.ID == v.Self {
			continue
		}
		seen[n.ID] = true
		if b.seeNode(n) {
			returned = append(returned, n.ID)
		}
	}
	for id, p := range b.peers {
		if !seen[id] {
			delete(b.peers, id)
			delete(b.ids, p.num)
		}
	}
	return returned
}

// seeNode takes what a view says of one node; true = it is back.
func (b *Book) seeNode(n *ring.Node) (returned bool) {
	p := b.peers[n.ID]
	failed := n.State == ring.Failed
	if p == nil {
		b.lastNum++
		b.peers[n.ID] = &peer{num: b.lastNum, incarnation: n.Incarnation, failed: failed, reset: b.clock}
		b.ids[b.lastNum] = n.ID
		return false
	}
	if n.Incarnation != 0 && p.incarnation != n.Incarnation {
		if p.incarnation != 0 { // it may have come with another disk
			delete(b.ids, p.num)
			b.lastNum++
			p.num = b.lastNum
			b.ids[p.num] = n.ID
			b.takeBack(p)
		}
		p.incarnation = n.Incarnation
	}
	returned = p.failed && !failed
	if p.failed != failed { // each may have acted for what the other acts for
		b.takeBack(p)
	}
	p.failed = failed
	return returned
}

func (b *Book) takeBack(p *peer) {
	p.marked = Set{}
	p.reset = b.clock
}

func (b *Book) dropPart(p int) {
	if known := b.parts[p]; known != nil {
		b.entries -= len(known.chunks)
		for _, list := range known.records {
			b.entries -= entriesOf(list)
		}
		delete(b.parts, p)
	}
	b.lost[p] = b.clock
	for _, other := range b.peers {
		other.marked.Remove(p)
	}
}

// TakeBack takes back all marks: others may have acted for this node's
// partitions.
func (b *Book) TakeBack() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.clock++
	for _, p := range b.peers {
		b.takeBack(p)
	}
}

// TakeBackOf takes back the marks of one node.
func (b *Book) TakeBackOf(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p := b.peers[id]; p != nil {
		b.clock++
		b.takeBack(p)
	}
}

// Want is what is to be asked of one node.
type Want struct {
	Node       string
	Partitions Set
	at         uint64
}

// Wants returns the nodes that are not failed and have not told all of what
// they hold of this node's partitions.
func (b *Book) Wants() []Want {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []Want
	for id, p := range b.peers {
		if p.failed {
			continue
		}
		if open := b.acts.Without(&p.marked); !open.Empty() {
			out = append(out, Want{Node: id, Partitions: open, at: b.clock})
		}
	}
	return out
}

// Mark notes that w's node has told all of what it holds of told, unless that
// was taken back since Wants.
func (b *Book) Mark(w Want, told Set) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.peers[w.Node]
	if p == nil || p.reset > w.at {
		return
	}
	told = told.Both(&w.Partitions)
	for q := range told.Each {
		if b.acts.Has(q) && b.lost[q] <= w.at {
			p.marked.Add(q)
		}
	}
}

// Entries returns how many chunks and records are noted.
func (b *Book) Entries() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.entries
}

// Settled reports whether all nodes that are not failed have told what they
// hold of this node's partitions.
func (b *Book) Settled() bool { return len(b.Wants()) == 0 }

// partOf returns what is known of p, made if there is room; nil = this node
// does not act for it.
func (b *Book) partOf(p int) *part {
	if !b.acts.Has(p) {
		return nil
	}
	known := b.parts[p]
	if known == nil {
		known = &part{chunks: make(map[storage.ChunkKey]*entry), records: make(map[storage.ObjectID][]kept)}
		b.parts[p] = known
	}
	return known
}

// room reports whether one more entry may be noted, else opens the partition.
func (b *Book) room(p *part) bool {
	if b.entries >= b.limit {
		p.open = true
		return false
	}
	b.entries++
	return true
}
