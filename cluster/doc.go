// Package cluster knows who is in the cluster and who is alive, and publishes
// both as immutable ring.Views. Every node is a cluster, of one at first.
// Members keep their place in the ring while they are dead: only leaving, or a
// very long absence, takes it away. See DESIGN.md in this folder.
package cluster
