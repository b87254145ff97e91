// Package admin is the operator's side of a node: one gRPC service with
// reflection and health on a Unix socket, and the client that the command
// line uses. What the service tells and does comes from the node through
// small interfaces; generated types stay inside.
package admin
