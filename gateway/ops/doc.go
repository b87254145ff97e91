// Package ops is the operators' HTTP server of a node: metrics, health,
// readiness and a summary. It listens apart from the clients' ports and shows
// nothing of requests but their sums.
package ops
