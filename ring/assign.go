package ring

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strconv"

	"github.com/cespare/xxhash/v2"
)

// point is a place of a member on the circle of hashes.
type point struct {
	hash  uint64
	index uint16
}

// assign gives every partition its owner: consistent hashing with bounded
// load (Mirrokni, Thorup, Zadimoghaddam, 2016). A member stands at replicas
// points per unit of weight and takes the partitions before them until it is
// full; what finds a full member goes on to the next point. Where all weights
// are 1 this is what github.com/buraksezer/consistent v1.0.0 places, partition
// by partition; DESIGN.md tells why it is not called.
func assign(members []Member) []uint16 {
	points, room := circle(members), capacities(members)
	owners := make([]uint16, Partitions)
	var key [8]byte
	for p := range owners {
		binary.LittleEndian.PutUint64(key[:], uint64(p))
		i, _ := slices.BinarySearchFunc(points, xxhash.Sum64(key[:]), func(q point, hash uint64) int {
			return cmp.Compare(q.hash, hash)
		})
		// There is always room: the capacities add up to more than Partitions.
		for i %= len(points); room[points[i].index] == 0; i = (i + 1) % len(points) {
		}
		owners[p] = points[i].index
		room[points[i].index]--
	}
	return owners
}

// circle returns the points of all members, by hash. Those of a weight contain
// those of every smaller one.
func circle(members []Member) []point {
	points := make([]point, 0, totalWeight(members)*replicas)
	var key []byte
	for i, m := range members {
		for k := range m.Weight * replicas {
			key = append(strconv.AppendInt(key[:0], int64(k), 10), ':')
			key = append(key, m.ID...)
			points = append(points, point{xxhash.Sum64(key), uint16(i)})
		}
	}
	slices.SortFunc(points, func(a, b point) int {
		return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.index, b.index))
	})
	return points
}

// capacities returns how many partitions each member may own: loadPercent of
// its share, rounded up. It is one number per member, not per unit of weight,
// so that the rounding costs one partition at most.
func capacities(members []Member) []int {
	total := totalWeight(members)
	room := make([]int, len(members))
	for i, m := range members {
		room[i] = (loadPercent*Partitions*m.Weight + 100*total - 1) / (100 * total)
	}
	return room
}

func totalWeight(members []Member) int {
	total := 0
	for _, m := range members {
		total += m.Weight
	}
	return total
}
