// Package holders is what a node knows of where the chunks and records of the
// partitions are that it acts for: which other nodes have told all that they
// hold of them (marks), and, per chunk, who holds which blocks. It is pure: no
// I/O, no clock, no goroutine. ../DESIGN.md, section Holders, tells how it is
// used.
package holders
