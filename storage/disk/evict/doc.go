// Package evict decides what leaves a full drive first. It keeps no bytes and
// reads no clock: its owner tells it what came, grew and went, and asks what is
// to go next. DESIGN.md of package disk says how it is used.
//
// What is held is kept apart by worth. Old versions go first. Borrowed copies,
// of which another node is the owner, go while they take more than their share
// of the drive; below it they compete with owned ones by age, so that copies
// that are in use stay and those that nobody asks for give way. Within a class
// the order is that of S3-FIFO (Yang et al., "FIFO queues are all you need for
// cache eviction", SOSP 2023), counted in bytes: what is new waits in a small
// queue and leaves from there unless it is asked for again, so that a scan
// passes by what is in use.
package evict
