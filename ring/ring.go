package ring

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// What is fixed within one FormatVersion. Two releases that place differently
// have different versions, and so never have the same digest.
const (
	// FormatVersion is the version of the layout. It rises with every change
	// that moves a partition: the constants here, the hash, the order of the
	// successors.
	FormatVersion = 1
	// Partitions is the number of partitions: a prime, so that it shares no
	// factor with any pattern in the hashes.
	Partitions = 4093
	// Order is the largest number of members kept per partition, the owner
	// included.
	Order = 8
	// MaxMembers bounds the members of a ring, whatever they weigh.
	MaxMembers = 1024
	// MaxWeight is the largest weight of a member.
	MaxWeight = 4

	replicas    = 100
	loadPercent = 125
)

// The faults of a set of members.
var (
	// ErrDuplicate: two members have the same ID.
	ErrDuplicate = errors.New("duplicate member")
	// ErrMember: a member has no ID, or a weight that is not 0 to MaxWeight.
	ErrMember = errors.New("unusable member")
	// ErrTooMany: there are more than MaxMembers.
	ErrTooMany = errors.New("too many members")
)

// Member is a place in the ring.
type Member struct {
	// ID names the member for the life of its data directory. It alone, with
	// the other members' IDs, decides what the member owns.
	ID string
	// Zone is where the member stands: successors are taken from zones apart.
	// All members without a zone share one.
	Zone string
	// Weight is the member's share relative to others: 1 to MaxWeight, 0 means
	// 1. With twice the weight it owns about twice the partitions, and acts for
	// twice as many of a dead member's.
	Weight int
}

// Ring is the placement of all partitions on one set of members. It is
// immutable and safe for concurrent use.
type Ring struct {
	members []Member
	digest  uint64
	// table holds width members for each partition, owner first.
	table []uint16
	width int
}

// New places all partitions on members, whose order does not matter. With no
// members it returns a ring whose Lookup gives nothing. It costs tens
// of milliseconds for a large ring (see DESIGN.md): call it off the request
// path and keep the result. Its errors wrap ErrDuplicate, ErrMember or ErrTooMany.
func New(members []Member) (*Ring, error) {
	if len(members) > MaxMembers {
		return nil, fmt.Errorf("%w: %d, the most is %d", ErrTooMany, len(members), MaxMembers)
	}
	sorted := slices.Clone(members)
	slices.SortFunc(sorted, func(a, b Member) int { return strings.Compare(a.ID, b.ID) })
	for i := range sorted {
		m := &sorted[i]
		if m.ID == "" {
			return nil, fmt.Errorf("%w: empty id", ErrMember)
		}
		if m.Weight < 0 || m.Weight > MaxWeight {
			return nil, fmt.Errorf("%w: %q has weight %d", ErrMember, m.ID, m.Weight)
		}
		m.Weight = max(m.Weight, 1)
		if i > 0 && sorted[i-1].ID == m.ID {
			return nil, fmt.Errorf("%w: %q", ErrDuplicate, m.ID)
		}
	}
	r := &Ring{members: sorted, digest: digest(sorted), width: min(Order, len(sorted))}
	if len(sorted) == 0 {
		return r, nil
	}
	r.table = successors(sorted, assign(sorted), r.width)
	return r, nil
}

// Partition returns the partition of a placement hash
// (storage.PlacementHash).
func Partition(hash uint64) int { return int(hash % Partitions) }

// Lookup returns indexes into Members: the owner of hash's partition, then
// its successors in the order in which they act for it; at most Order, empty
// for a ring without members. The slice is shared and must not be modified.
// It takes no lock and allocates nothing.
func (r *Ring) Lookup(hash uint64) []uint16 { return r.At(Partition(hash)) }

// At returns what Lookup returns, by partition; nothing for a partition that
// does not exist.
func (r *Ring) At(partition int) []uint16 {
	if r == nil || partition < 0 || partition >= Partitions {
		return nil
	}
	i := partition * r.width
	return r.table[i : i+r.width : i+r.width]
}

// Partition returns the partition of a placement hash.
func (r *Ring) Partition(hash uint64) int { return Partition(hash) }

// Members returns the members sorted by ID. The slice is shared and must not
// be modified.
func (r *Ring) Members() []Member {
	if r == nil {
		return nil
	}
	return r.members
}

// Digest returns a number that is equal for equal layouts: it is over
// FormatVersion and the sorted members with their zones and weights.
func (r *Ring) Digest() uint64 {
	if r == nil {
		return 0
	}
	return r.digest
}

// Index returns the place of the member id in Members, -1 if it is not there.
func (r *Ring) Index(id string) int {
	i, ok := slices.BinarySearchFunc(r.Members(), id, func(m Member, id string) int {
		return strings.Compare(m.ID, id)
	})
	if !ok {
		return -1
	}
	return i
}
