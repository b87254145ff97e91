package cluster

import (
	"cmp"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/mccd/mccd/cluster/gossip"
)

// directory holds the records of all nodes that were ever heard of and not yet
// dropped. It travels with every push/pull; merging is taking the greater
// record of each id, so any order of exchanges ends alike everywhere.
type directory struct {
	log     *slog.Logger
	now     func() time.Time
	self    string
	changed chan struct{} // of 1

	mu      sync.Mutex
	records map[string]record
	encoded []byte // of records, nil = to be made
	leaving bool   // no refuting any more
	closed  bool   // nothing is taken in any more
	refused int    // records that broke the bounds
}

// newDirectory starts with what was kept from earlier. self supersedes the
// kept record of this node.
func newDirectory(self record, kept []record, now func() time.Time, log *slog.Logger) *directory {
	d := &directory{log: log, now: now, self: self.id, changed: make(chan struct{}, 1), records: make(map[string]record)}
	for _, r := range kept {
		if old, ok := d.records[r.id]; !ok || compareRecords(r, old) > 0 {
			d.records[r.id] = r
		}
		if r.id == self.id && r.incarnation >= self.incarnation {
			self.incarnation = r.incarnation + 1
		}
	}
	d.records[self.id] = self
	return d
}

// located sets the gossip address of this node, before anybody else reads d.
func (d *directory) located(addr string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	own := d.records[d.self]
	own.gossipAddr = addr
	d.records[d.self], d.encoded = own, nil
}

// own returns this node's record.
func (d *directory) own() record {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.records[d.self]
}

// snapshot returns all records sorted by id.
func (d *directory) snapshot() []record {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.sorted()
}

func (d *directory) sorted() []record {
	all := make([]record, 0, len(d.records))
	for _, r := range d.records {
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b record) int { return cmp.Compare(a.id, b.id) })
	return all
}

// Members returns the records with a place in the ring, sorted by id.
func (d *directory) Members() []record {
	return slices.DeleteFunc(d.snapshot(), func(r record) bool { return r.left })
}

// Changed is signalled after a change of Members; several may give one.
func (d *directory) Changed() <-chan struct{} { return d.changed }

// LocalState returns what a push/pull sends. A node that has left sends
// nothing more: its new record, of a cluster of one, is nobody else's business
// and would bring it back into the cluster that it left.
func (d *directory) LocalState() []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil
	}
	if d.encoded == nil {
		d.encoded = encodeDirectory(d.sorted(), false)
	}
	return d.encoded
}

// MergeRemoteState takes in what a push/pull brought.
func (d *directory) MergeRemoteState(b []byte) {
	records, refused, err := decodeDirectory(b)
	if err != nil {
		d.log.Warn("member directory from a peer refused", "err", err)
		return
	}
	d.mu.Lock()
	d.refused += refused
	for _, r := range records {
		r.absent = 0
		d.put(r)
	}
	d.mu.Unlock()
}

// observe takes in the nodes that answer and those that said goodbye.
func (d *directory) observe(members []gossip.Member, departed map[string]uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, m := range members {
		if m.ID == d.self || m.Leaving {
			continue
		}
		d.put(record{
			id: m.ID, name: m.Name, zone: m.Zone, peerAddr: m.PeerAddr, gossipAddr: m.GossipAddr, incarnation: m.Incarnation,
		})
	}
	for id, incarnation := range departed {
		if r, ok := d.records[id]; ok && id != d.self && r.incarnation <= incarnation {
			r.incarnation = incarnation
			d.put(d.gone(r))
		}
	}
}

// gone returns r as the record of a node without a place.
func (d *directory) gone(r record) record {
	if !r.left {
		r.left, r.leftUnix, r.absent = true, max(1, d.now().Unix()), 0
	}
	return r
}

// put takes r in if it supersedes what is known. d.mu is held.
func (d *directory) put(r record) {
	if d.closed {
		return
	}
	if r.id == d.self {
		d.refute(r)
		return
	}
	old, known := d.records[r.id]
	if known && compareRecords(r, old) <= 0 {
		return
	}
	if r.left && d.now().Sub(time.Unix(r.leftUnix, 0)) > leftKept {
		return
	}
	if !known && len(d.records) >= maxRecords {
		d.refused++
		return
	}
	if r.incarnation == old.incarnation {
		r.absent = old.absent
	}
	d.set(r)
}

func (d *directory) set(r record) {
	d.records[r.id], d.encoded = r, nil
	select {
	case d.changed <- struct{}{}:
	default:
	}
}

// refute answers a record of this node that is newer than its own: it was
// forgotten, its clock went back, or its id is in use twice.
func (d *directory) refute(r record) {
	own := d.records[d.self]
	if d.leaving || compareRecords(r, own) <= 0 || r.incarnation >= gossip.MaxIncarnation {
		return
	}
	if !r.left && r.gossipAddr != own.gossipAddr {
		d.log.Warn("the cluster knew this node's id at another address: if a copy of its data directory runs there, stop it and remove the copy's node-id",
			"addr", r.gossipAddr)
	}
	own.incarnation = r.incarnation + 1
	d.set(own)
}

// miss adds elapsed to the absence of every member that is not alive, and
// takes the place of those that were missed for limit, if may; it drops
// departures that are old enough.
func (d *directory) miss(alive map[string]bool, elapsed, limit time.Duration, may bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for id, r := range d.records {
		switch {
		case r.left:
			if d.now().Sub(time.Unix(r.leftUnix, 0)) > leftKept {
				delete(d.records, id)
				d.encoded = nil
			}
		case alive[id] || id == d.self:
			r.absent = 0
			d.records[id] = r
		default:
			r.absent = min(r.absent+elapsed, maxAbsent)
			d.records[id] = r
			if may && r.absent >= limit {
				d.log.Warn("node lost its place in the ring after a long absence", "node", r.name, "id", id, "absent", r.absent)
				d.set(d.gone(r))
			}
		}
	}
}

// leave marks this node as departed.
func (d *directory) leave() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.leaving = true
	d.set(d.gone(d.records[d.self]))
}

// alone forgets everybody for good: this node is a cluster of one again, and
// an exchange that was under way when it left changes nothing.
func (d *directory) alone() {
	d.mu.Lock()
	defer d.mu.Unlock()
	own := d.records[d.self]
	own.left, own.leftUnix = false, 0
	own.incarnation++
	d.closed = true
	d.records = map[string]record{d.self: own}
	d.set(own)
}
