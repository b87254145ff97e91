// Package disk keeps chunks on drives: one sparse, self-describing file per
// chunk, filled block by block while any number of readers follow it with
// sendfile. A block is written once, checksummed, then published; it is
// verified at every read that comes from the drive. Where no drive can take a
// chunk, a bounded pool of memory files takes its place.
//
// See DESIGN.md beside this file for formats, invariants and failures, and
// ARCHITECTURE.md section 5 for the rules it implements.
package disk
