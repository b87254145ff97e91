// Package wire is the one port between nodes: TCP with TLS 1.3, both ends
// certified, one gRPC server and Raft told apart by ALPN. It accepts and dials,
// asks a Policy who the other end is, hands the finished connections on, and
// closes those of nodes that may no longer be here. It knows no State, no
// certificate authority and no RPC. DESIGN.md tells how and why.
package wire
