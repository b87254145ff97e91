// Package ring places chunks on members: a pure function from a set of
// members to the owner and successors of every partition. It does no I/O,
// reads no clock and knows nothing of who is alive; a View adds liveness to a
// Ring without ever changing it. See DESIGN.md in this folder.
package ring
