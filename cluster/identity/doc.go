// Package identity is who is who in a cluster, as plain cryptography and
// files: the cluster's own certificate authority, the tokens that admit nodes,
// a node's key and certificate, the sealing key under which secrets travel in
// the replicated state, and the gossip keyring. It opens no socket and knows
// no State.
//
// No secret of this package shows itself in fmt, slog, JSON or YAML. What
// holds one in an unexported field of its own must not print itself with fmt:
// that reaches past every method.
package identity
