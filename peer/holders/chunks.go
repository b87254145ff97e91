package holders

import (
	"github.com/mccd/mccd/ring"
	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/disk"
)

// Held is a chunk and the blocks of it that a node has.
type Held struct {
	Key  storage.ChunkKey
	Have disk.Bitmap
}

// PartitionOf returns the partition of a chunk.
func PartitionOf(key storage.ChunkKey) int {
	return ring.Partition(storage.PlacementHash(key.Object, key.Index))
}

// Learn notes what node holds, of the partitions that this node acts for.
func (b *Book) Learn(node string, held ...Held) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.peers[node]
	if p == nil {
		return
	}
	for _, h := range held {
		if part := b.partOf(PartitionOf(h.Key)); part != nil && !h.Have.Empty() {
			b.learn(part, p.num, h)
		}
	}
}

func (b *Book) learn(part *part, num uint32, h Held) {
	e := part.chunks[h.Key]
	if e == nil {
		if !b.room(part) {
			return
		}
		e = new(entry)
		part.chunks[h.Key] = e
	}
	b.prune(e)
	for i := range e.held {
		if e.held[i].num == num {
			e.held[i].have = join(e.held[i].have, h.Have)
			return
		}
	}
	e.held = append(e.held, holding{num: num, have: h.Have})
	if len(e.held) > PerChunk {
		e.shrink()
	}
}

// shrink leaves out one holder: one whose blocks the others have, else the one
// with the fewest blocks.
func (e *entry) shrink() {
	e.more = true
	out, least := -1, 0
	for i := range e.held {
		var others disk.Bitmap
		for k := range e.held {
			if k != i {
				others = join(others, e.held[k].have)
			}
		}
		if covers(others, e.held[i].have) {
			out = i
			break
		}
		if e.held[i].have.Count() < e.held[least].have.Count() {
			least = i
		}
	}
	if out < 0 {
		out, e.open = least, true
	}
	e.held = append(e.held[:out], e.held[out+1:]...)
}

// prune leaves out holders that are forgotten.
func (b *Book) prune(e *entry) {
	kept := e.held[:0]
	for _, h := range e.held {
		if _, ok := b.ids[h.num]; ok {
			kept = append(kept, h)
		}
	}
	e.open = e.open || e.more && len(kept) < len(e.held)
	e.held = kept
}

// Forget notes that node does not hold the chunk.
func (b *Book) Forget(node string, key storage.ChunkKey) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p, part := b.peers[node], b.parts[PartitionOf(key)]
	if p == nil || part == nil || part.chunks[key] == nil {
		return
	}
	e := part.chunks[key]
	b.prune(e)
	for i, h := range e.held {
		if h.num == p.num {
			e.held = append(e.held[:i], e.held[i+1:]...)
			e.open = e.open || e.more // those that are not kept may have what it had
			break
		}
	}
	if len(e.held) == 0 && !e.open {
		delete(part.chunks, key)
		b.entries--
	}
}

// Finding is what is known of where a chunk or record is. Of the zero value
// nothing is known.
type Finding struct {
	// Known are nodes that are known to have it.
	Known map[string]disk.Bitmap
	// More tells that others have blocks of it too that those of Known have.
	More bool
	// unmarked tells who has to be asked; nil = everybody.
	unmarked func(id string) bool
}

// MayHold reports whether node id may hold it too, so that it has to be asked.
func (f *Finding) MayHold(id string) bool { return f.unmarked == nil || f.unmarked(id) }

// Find returns who holds the chunk by all that is known.
func (b *Book) Find(key storage.ChunkKey) Finding {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := PartitionOf(key)
	part := b.parts[p]
	f := Finding{}
	open := false
	if part != nil {
		open = part.open
		if e := part.chunks[key]; e != nil {
			b.prune(e)
			open, f.More = open || e.open, e.more
			f.Known = make(map[string]disk.Bitmap, len(e.held))
			for _, h := range e.held {
				f.Known[b.ids[h.num]] = h.have
			}
		}
	}
	f.unmarked = b.unmarked(p, open)
	return f
}

// unmarked returns who has to be asked about partition p. b.mu is held.
func (b *Book) unmarked(p int, open bool) func(id string) bool {
	if open || !b.acts.Has(p) {
		return func(string) bool { return true }
	}
	told := make(map[string]bool, len(b.peers))
	for id, other := range b.peers {
		told[id] = other.marked.Has(p)
	}
	return func(id string) bool { return !told[id] }
}

func join(a, b disk.Bitmap) disk.Bitmap {
	for i := range a {
		a[i] |= b[i]
	}
	return a
}

func covers(a, b disk.Bitmap) bool { return join(a, b) == a }
