// Package peer is the fill: one way to make bytes of an object present in the
// chunk files of this node, from disk, from a flight in progress, from the
// chunk's owner over gRPC, or from the origin. It holds the flights, the gRPC
// client and server between nodes, and what a node knows of the others'
// silence. DESIGN.md tells how and why.
package peer
