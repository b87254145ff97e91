// Sim replays traces of chunk reads against eviction policies: LRU, FIFO,
// Belady's ideal, and the one of package storage/disk/evict, whose code it runs
// as it is. It also replays them against a cluster of four nodes with the ring
// of package ring, where owners, borrowed copies and what they are worth count,
// and compares what that asks of the origin with one cache for all.
//
// `make sim` prints the table; the tests assert what the policy must reach.
package main
