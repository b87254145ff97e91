package holders

import (
	"slices"

	"github.com/mccd/mccd/ring"
	"github.com/mccd/mccd/storage"
)

// Record tells that a node may have a record of an object.
type Record struct {
	ID storage.ObjectID
	// Registration is the record's; 0 = not known.
	Registration uint64
}

// HomeOf returns the partition whose owner is the home of object id.
func HomeOf(id storage.ObjectID) int { return ring.Partition(storage.PlacementHash(id, 0)) }

// LearnRecords notes of which objects node may have a record, where this node
// acts as their home.
func (b *Book) LearnRecords(node string, records ...Record) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.peers[node]
	if p == nil {
		return
	}
next:
	for _, r := range records {
		part := b.partOf(HomeOf(r.ID))
		if part == nil {
			continue
		}
		list := b.living(part, r.ID)
		for i := range list {
			if list[i].num == p.num {
				list[i].registration = r.Registration
				continue next
			}
		}
		if len(list)%keptPerEntry == 0 && !b.room(part) {
			continue
		}
		part.records[r.ID] = append(list, kept{num: p.num, registration: r.Registration})
	}
}

// FindRecord returns the nodes that are known to have, perhaps, a record of
// object id that is newer than the registration have; and who has to be asked
// besides.
func (b *Book) FindRecord(id storage.ObjectID, have uint64) (known []string, rest Finding) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := HomeOf(id)
	part := b.parts[p]
	if part != nil {
		for _, k := range part.records[id] {
			if node, ok := b.ids[k.num]; ok && (k.registration == 0 || k.registration > have) {
				known = append(known, node)
			}
		}
	}
	return known, Finding{unmarked: b.unmarked(p, part != nil && part.open)}
}

// ForgetRecord notes that node was asked for its record of object id.
func (b *Book) ForgetRecord(node string, id storage.ObjectID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p, part := b.peers[node], b.parts[HomeOf(id)]
	if p == nil || part == nil {
		return
	}
	b.retain(part, id, func(num uint32) bool { return num != p.num && b.ids[num] != "" })
}

// keptPerEntry is how many nodes that may have a record count as one entry.
const keptPerEntry = 8

func entriesOf(list []kept) int { return (len(list) + keptPerEntry - 1) / keptPerEntry }

// living returns the nodes that may have the record of id, and leaves out those
// that are forgotten.
func (b *Book) living(part *part, id storage.ObjectID) []kept {
	return b.retain(part, id, func(num uint32) bool { return b.ids[num] != "" })
}

func (b *Book) retain(part *part, id storage.ObjectID, keep func(num uint32) bool) []kept {
	list := part.records[id]
	left := slices.DeleteFunc(list, func(k kept) bool { return !keep(k.num) })
	b.entries -= entriesOf(list) - entriesOf(left)
	if len(left) == 0 {
		delete(part.records, id)
		return nil
	}
	part.records[id] = left
	return left
}
