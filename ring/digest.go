package ring

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
)

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
