// Package agent is what the simulated clients share: the name under which they
// know the cache and the order in which they try its addresses, the bans, the
// times that the contract names, connections that are kept, and the report of a
// download (docs/clients.md sections 2, 3 and 5).
package agent
