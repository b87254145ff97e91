// Package process drives real mccd processes: it builds the program once,
// writes a configuration for each node, has them form a cluster by a token,
// starts, stops, kills, pauses and restarts them, also on other addresses, and
// waits for conditions by asking them, never by sleeping for a fixed time. The end-to-end tests, the demo and the benchmarks share
// it. Whatever it started ends with it: each node is the leader of its own
// process group, and on Linux the kernel kills it when its parent dies.
package process
