package main

import "github.com/mccd/mccd/storage/disk/evict"

// readsPerTick is how many reads make 16 s, the time in which package disk
// counts uses of a chunk once: a busy site reads a few chunks in a second.
const readsPerTick = 32

// held is a chunk on a drive.
type held struct {
	read
	// hash is its place in the ring.
	hash  uint64
	links evict.Links[*held]
}

// Links implements evict.Member.
func (h *held) Links() *evict.Links[*held] { return &h.links }

// Hash implements evict.Member.
func (h *held) Hash() uint64 { return h.hash }

// drive is a drive under the real policy, with the marks of package disk.
type drive struct {
	policy    *evict.Policy[*held]
	held      map[uint64]*held
	used      int64
	high, low int64
}

// newDrive makes a drive of limit bytes, of which share percent are kept for
// borrowed copies.
func newDrive(limit int64, share int) *drive {
	return &drive{
		policy: evict.New[*held](evict.Config{Share: limit / 100 * int64(share)}), held: map[uint64]*held{},
		high: limit - limit/64, low: limit - limit/32,
	}
}

// get reports whether key is held, and counts the use.
func (d *drive) get(key uint64, now int) bool {
	h := d.held[key]
	if h == nil {
		return false
	}
	h.links.Use(uint32(now / readsPerTick))
	return true
}

// put takes a chunk in.
func (d *drive) put(r read, hash uint64, class evict.Class, now int) {
	h := &held{read: r, hash: hash}
	h.links.Began(uint32(now / readsPerTick))
	d.policy.Grew(h, int64(r.size))
	d.held[r.key] = h
	d.used += int64(r.size)
	if d.used > d.high {
		for d.used > d.low {
			d.drop()
		}
	}
	d.policy.Add(h, class, false) // last: what is being filled is in use
}

func (d *drive) drop() {
	h, _, ok := d.policy.Take()
	if !ok {
		panic("nothing to evict")
	}
	delete(d.held, h.key)
	d.used -= int64(h.size)
}

// ours replays t with one drive.
func ours(t trace) (s score) {
	d := newDrive(t.capacity, 0)
	for i, r := range t.reads {
		hit := d.get(r.key, i)
		s.count(r, hit)
		if !hit {
			d.put(r, mix(r.key), evict.Owned, i)
		}
	}
	return s
}

// mix spreads a key over 64 bits.
func mix(key uint64) uint64 {
	key ^= key >> 33
	key *= 0xff51afd7ed558ccd
	key ^= key >> 33
	key *= 0xc4ceb9fe1a85ec53
	return key ^ key>>33
}
