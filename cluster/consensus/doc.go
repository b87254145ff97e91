// Package consensus keeps one State the same on all nodes of a cluster:
// hashicorp/raft with a log in bbolt, around the pure package cluster/state.
// It chooses the voters (1, 3 or 5, spread by zone), takes nodes in and out of
// Raft as the State names them, and keeps the last State in a file so that a
// start waits for no election. It knows no addresses and no certificates: its
// streams come from outside, by node id. See DESIGN.md.
package consensus
