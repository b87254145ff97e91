// Package state is what a cluster agrees on, as plain data: the replicated
// State, the Commands that change it, and the one deterministic function that
// applies a Command. It reads no clock, does no I/O and knows no Raft.
package state
