package ring

import (
	"math/bits"

	"github.com/cespare/xxhash/v2"
)

// successors builds the table: for each partition its owner, then the other
// members by weighted rendezvous (highest random weight, the best of as many
// draws as the member's weight), each time from the zone least used so far.
// Every partition has an order of its own, so what a dead member owned spreads
// over all survivors.
func successors(members []Member, owners []uint16, width int) []uint16 {
	seeds, first := rendezvousSeeds(members)
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
				c := candidate{0, uint16(i)}
				for _, seed := range seeds[first[i]:first[i+1]] {
					c.score = max(c.score, score(uint64(p), seed))
				}
				best[z] = insert(best[z], c, width-1)
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

// rendezvousSeeds gives member i the seeds[first[i]:first[i+1]], one per unit
// of its weight: a member with twice the weight comes first twice as often,
// and a change of its weight leaves the order of the others alone.
func rendezvousSeeds(members []Member) (seeds []uint64, first []int) {
	seeds = make([]uint64, 0, len(members))
	first = make([]int, 1, len(members)+1)
	for _, m := range members {
		seed := xxhash.Sum64String(m.ID)
		seeds = append(seeds, seed)
		for k := 1; k < m.Weight; k++ {
			seeds = append(seeds, score(uint64(k), seed))
		}
		first = append(first, len(seeds))
	}
	return seeds, first
}

// candidate is a member with its score in one partition.
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

// score is the rendezvous score of a seed in a partition: the finalizer of
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
