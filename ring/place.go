package ring

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math/bits"

	"github.com/buraksezer/consistent"
	"github.com/cespare/xxhash/v2"
)

// hasher is the hash of the bounded-load ring; it is part of the format.
type hasher struct{}

func (hasher) Sum64(b []byte) uint64 { return xxhash.Sum64(b) }

// point lets the bounded-load ring carry the member's index along.
type point struct {
	id    string
	index uint16
}

func (p point) String() string { return p.id }

// assign gives every partition its owner: consistent hashing with bounded
// load, so that no member owns more than load times its share.
func assign(members []Member) (owners []uint16, err error) {
	// The library panics where it finds no room for a partition. With these
	// constants that takes members whose every virtual node collides with
	// another's, which only chosen IDs could do.
	defer func() {
		if p := recover(); p != nil {
			owners, err = nil, fmt.Errorf("%w: %v", ErrMember, p)
		}
	}()
	points := make([]consistent.Member, len(members))
	for i, m := range members {
		points[i] = point{id: m.ID, index: uint16(i)}
	}
	c := consistent.New(points, consistent.Config{
		Hasher:            hasher{},
		PartitionCount:    Partitions,
		ReplicationFactor: replicas,
		Load:              load,
	})
	owners = make([]uint16, Partitions)
	for p := range owners {
		o, ok := c.GetPartitionOwner(p).(point)
		if !ok {
			return nil, fmt.Errorf("%w: partition %d has no owner", ErrMember, p)
		}
		owners[p] = o.index
	}
	return owners, nil
}

// successors builds the table: for each partition its owner, then the other
// members by rendezvous (highest random weight), each time from the zone least
// used so far. Every partition has an order of its own, so what a dead member
// owned spreads over all survivors.
func successors(members []Member, owners []uint16, width int) []uint16 {
	seeds := make([]uint64, len(members))
	for i, m := range members {
		seeds[i] = xxhash.Sum64String(m.ID)
	}
	zones, zoneCount := zoneNumbers(members)

	var (
		table = make([]uint16, 0, Partitions*width)
		best  = make([][]candidate, zoneCount) // of each zone, highest first
		next  = make([]int, zoneCount)         // how many of best are taken
		used  = make([]int, zoneCount)         // how often each zone is in the order
	)
	for p, owner := range owners {
		for z := range best {
			best[z] = best[z][:0]
		}
		for i := range members {
			if i != int(owner) {
				z := zones[i]
				best[z] = insert(best[z], candidate{score(uint64(p), seeds[i]), uint16(i)}, width-1)
			}
		}
		table = append(table, owner)
		clear(used)
		clear(next)
		used[zones[owner]]++
		for range width - 1 {
			zone := -1
			for z, c := range best {
				if next[z] < len(c) && (zone < 0 || used[z] < used[zone] ||
					used[z] == used[zone] && c[next[z]].before(best[zone][next[zone]])) {
					zone = z
				}
			}
			table = append(table, best[zone][next[zone]].index)
			next[zone]++
			used[zone]++
		}
	}
	return table
}

// candidate is a member with its weight in one partition.
type candidate struct {
	score uint64
	index uint16
}

// before is the rendezvous order: the higher score first, equal ones by ID,
// since members are sorted.
func (c candidate) before(d candidate) bool {
	return c.score > d.score || c.score == d.score && c.index < d.index
}

// insert puts c into its place in list and keeps the first limit.
func insert(list []candidate, c candidate, limit int) []candidate {
	if len(list) < limit {
		list = append(list, c)
	} else if limit == 0 || !c.before(list[limit-1]) {
		return list
	}
	i := len(list) - 1
	for ; i > 0 && c.before(list[i-1]); i-- {
		list[i] = list[i-1]
	}
	list[i] = c
	return list
}

// score is the rendezvous weight of a member in a partition: the finalizer of
// MurmurHash3 over both.
func score(partition, seed uint64) uint64 {
	h := bits.RotateLeft64(seed, 31) ^ (partition+1)*0x9e3779b97f4a7c15
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

// zoneNumbers returns each member's zone as a number below count.
func zoneNumbers(members []Member) (zones []int, count int) {
	numbers := make(map[string]int)
	zones = make([]int, len(members))
	for i, m := range members {
		n, ok := numbers[m.Zone]
		if !ok {
			n = len(numbers)
			numbers[m.Zone] = n
		}
		zones[i] = n
	}
	return zones, len(numbers)
}

// digest hashes format version and members, every part with its length, so
// that no two sets of members give the same input.
func digest(members []Member) uint64 {
	b := binary.AppendUvarint(nil, FormatVersion)
	b = binary.AppendUvarint(b, uint64(len(members)))
	for _, m := range members {
		b = binary.AppendUvarint(b, uint64(len(m.ID)))
		b = append(b, m.ID...)
		b = binary.AppendUvarint(b, uint64(len(m.Zone)))
		b = append(b, m.Zone...)
		b = binary.AppendUvarint(b, uint64(m.Weight))
	}
	return xxhash.Sum64(b)
}

func compareStrings(a, b string) int { return cmp.Compare(a, b) }
