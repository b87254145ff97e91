// Package cluster puts together who is in the cluster (the replicated state),
// who is alive (gossip) and who may speak (identity), and publishes the result
// as immutable Views; see DESIGN.md.
package cluster
