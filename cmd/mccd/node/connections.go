package node

// What of the process's descriptors clients may not take: idle and open chunk
// files, connections to origins and between nodes.
const (
	keptDescriptors = 1024
	minConnections  = 64
	maxConnections  = 65536
)

// connectionsFor returns how many clients may be connected where the
// configuration leaves it open: a herd must not leave the chunk files that it
// is served from without a descriptor. n is the process's limit, 0 = unknown.
func connectionsFor(n uint64) int {
	switch {
	case n == 0:
		return 8192
	case n < 2*keptDescriptors:
		return max(minConnections, int(n/2))
	default:
		return int(min(n-keptDescriptors, maxConnections))
	}
}
