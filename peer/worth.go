package peer

import (
	"hash/fnv"

	"github.com/mccd/mccd/ring"
	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/disk"
)

// Notes is a Store that notes who confirmed to hold the same bytes. One that
// is not has all its copies count as owned.
type Notes interface {
	// Confirm notes by of the chunk held under key; 0 = nobody.
	Confirm(key storage.ChunkKey, by uint32) bool
	// Confirmed returns what was noted last; false when nothing is held.
	Confirmed(key storage.ChunkKey) (by uint32, held bool)
	// Presence returns the blocks held of a chunk, which counts as no use.
	Presence(key storage.ChunkKey) (disk.Bitmap, bool)
}

// Worth says what the chunk held under key is worth now, for
// disk.Config.Worth; by is what was noted last of it. It does not block.
//
// What this node acts as owner for is owned. So is a copy of another's chunk,
// until the node that acts for it now, in its present life, has confirmed that
// it holds those bytes: nobody else may hold them. A version is old once a
// newer one is registered.
func (f *Filler) Worth(key storage.ChunkKey, by uint32) disk.Worth {
	if f.cfg.Pinned != nil && f.cfg.Pinned(key.Object) {
		return disk.WorthPinned
	}
	o := f.cache.Peek(key.Object)
	if o != nil && o.Version.ID() != key.Version {
		return disk.WorthOld
	}
	node := f.keeper(f.cfg.Placement.View(), key, o)
	if node != nil && by != 0 && by == confirmedBy(node) {
		return disk.WorthBorrowed
	}
	return disk.WorthOwned
}

// keeper returns the other node that is to hold the chunk, nil when that is this
// one, or nobody. o is the object's record, nil when it is not known.
func (f *Filler) keeper(view *ring.View, key storage.ChunkKey, o *storage.Object) *ring.Node {
	if o != nil && o.Whole != "" {
		if o.Whole == view.Self {
			return nil
		}
		if node, ok := view.ByID(o.Whole); ok && node.State == ring.Alive {
			return node
		}
	}
	i, ok := view.Acting(uint64(placeOf(key.Object, key.Index)))
	if !ok || int(i) == view.SelfIndex() {
		return nil
	}
	return view.Node(i)
}

// confirmedBy is what is noted of a chunk that node has confirmed: it is
// another after each start of the node. Never 0.
func confirmedBy(node *ring.Node) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(node.ID))
	var b [8]byte
	for i := range b {
		b[i] = byte(node.Incarnation >> (8 * i))
	}
	_, _ = h.Write(b[:])
	return max(1, h.Sum32())
}

// solely reports whether all that is held of a chunk is known to be at node too.
func (f *Filler) solely(key storage.ChunkKey, node *ring.Node) bool {
	if f.notes == nil {
		return false
	}
	have, _ := f.notes.Presence(key)
	by, _ := f.notes.Confirmed(key)
	return have.Empty() || by == confirmedBy(node)
}
