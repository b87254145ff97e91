// Package gossip adapts hashicorp/memberlist: it tells which nodes of the
// cluster answer, at which addresses, and carries the member directory
// between them at every push/pull. It rejoins by itself after long
// partitions, which memberlist does not.
//
// Each run of a node is a member of its own to memberlist, named
// "<node id>-<start incarnation>". So a node that comes back on another
// address replaces its former self at once, with no wait for the former
// self's failure; the adapter gives its callers one Member per id.
package gossip
