package admin

import "time"

// Status is a node's own picture. The JSON names are what `mccd status -o
// json` prints, and stay.
type Status struct {
	// NodeID is 32 hexadecimal digits; Zone may be empty.
	NodeID string `json:"node_id"`
	Name   string `json:"name"`
	Zone   string `json:"zone,omitempty"`
	// Version is the program's.
	Version string `json:"version"`
	// Started is when the process started; zero = not told.
	Started   time.Time `json:"started"`
	Addresses []Address `json:"addresses"`
	// ViewDigest is the ring's digest as 16 hexadecimal digits: nodes with
	// the same digest place every chunk alike.
	ViewDigest string `json:"view_digest"`
	ViewSerial uint64 `json:"view_serial"`
	// Nodes are all members, this node included.
	Nodes  []Node  `json:"nodes"`
	Drives []Drive `json:"drives"`
	Cache  Cache   `json:"cache"`
	// Warnings are what an operator should know, each in one sentence.
	Warnings []string `json:"warnings,omitempty"`
}

// Address is one listening socket.
type Address struct {
	// Purpose is "clients", "peers", "gossip", "operators" or "admin".
	Purpose string `json:"purpose"`
	// Address is "host:port", or a path.
	Address string `json:"address"`
}

// Node is one member.
type Node struct {
	ID         string `json:"id"`
	Name       string `json:"name"`
	Zone       string `json:"zone,omitempty"`
	PeerAddr   string `json:"peer_addr"`
	GossipAddr string `json:"gossip_addr,omitempty"`
	// State is "alive", "draining" or "failed".
	State string `json:"state"`
	// Self tells that it is the node that was asked.
	Self bool `json:"self,omitempty"`
	// Owned is its share of the partitions, between 0 and 1.
	Owned float64 `json:"owned"`
}

// Drive is one directory of chunks.
type Drive struct {
	Path string `json:"path"`
	// Size is how much it may hold, Used how much it holds, in bytes.
	Size   int64 `json:"size_bytes"`
	Used   int64 `json:"used_bytes"`
	Chunks int64 `json:"chunks"`
	// State is "ok", "full" or "read-only" (it gives, but takes nothing), or
	// "failed".
	State string `json:"state"`
	// Reason says why it is not ok.
	Reason string `json:"reason,omitempty"`
}

// Cache counts what clients were served since the start.
type Cache struct {
	// HitBytes came from this node's drives, PeerBytes from other nodes,
	// MissBytes from origins.
	HitBytes  int64 `json:"hit_bytes"`
	PeerBytes int64 `json:"peer_bytes"`
	MissBytes int64 `json:"miss_bytes"`
	// Requests are answers to clients.
	Requests int64 `json:"requests"`
	// OriginBytes are all bytes that this node fetched from origins.
	OriginBytes int64 `json:"origin_bytes"`
	// Flights are fills now in progress.
	Flights int64 `json:"flights"`
}
