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
	// Cluster is what all agree on, and whether they can.
	Cluster ClusterInfo `json:"cluster"`
	// Nodes are all that the cluster knows, this node included.
	Nodes  []Node  `json:"nodes"`
	Drives []Drive `json:"drives"`
	Cache  Cache   `json:"cache"`
	// Warnings are what an operator should know, each in one sentence.
	Warnings []string `json:"warnings,omitempty"`
}

// Address is one listening socket.
type Address struct {
	// Purpose is "clients", "https", "peers", "gossip", "operators" or "admin".
	Purpose string `json:"purpose"`
	// Address is "host:port", or a path.
	Address string `json:"address"`
}

// ClusterInfo is a node's picture of the agreement of all.
type ClusterInfo struct {
	// ID is 32 hexadecimal digits; empty before the first start has ended.
	ID string `json:"id"`
	// Epoch is "generation.index" of the last change of placement.
	Epoch string `json:"epoch"`
	// LeaderID is empty while none is known.
	LeaderID   string `json:"leader_id"`
	LeaderName string `json:"leader_name,omitempty"`
	// Role is this node's part in Raft: "leader", "voter", "follower" (no
	// vote) or "none".
	Role           string `json:"role"`
	Quorum         Quorum `json:"quorum"`
	AppliedIndex   uint64 `json:"applied_index"`
	ConfigRevision uint64 `json:"config_revision"`
	// Join is a join in progress, nil = none.
	Join *JoinProgress `json:"join,omitempty"`
}

// Quorum tells whether the cluster can write, as the node sees it.
type Quorum struct {
	OK bool `json:"ok"`
	// Reason says why not; Seconds for how long not.
	Reason  string  `json:"reason,omitempty"`
	Seconds float64 `json:"seconds,omitempty"`
}

// JoinProgress is a join that has begun and not ended.
type JoinProgress struct {
	Peers []string `json:"peers"`
	// Step is what the node does now, Error what went wrong last.
	Step    string  `json:"step,omitempty"`
	Error   string  `json:"error,omitempty"`
	Seconds float64 `json:"seconds"`
}

// Node is one node that the cluster knows.
type Node struct {
	// ID is empty for a pre-created node.
	ID         string `json:"id"`
	Name       string `json:"name"`
	Zone       string `json:"zone,omitempty"`
	PeerAddr   string `json:"peer_addr"`
	GossipAddr string `json:"gossip_addr,omitempty"`
	// State is "alive", "draining" or "failed", as the node that was asked
	// sees it; "none" for one that has not joined or has gone.
	State string `json:"state"`
	// Stage is where it stands in its life: "pre-created", "joining",
	// "active", "draining", "left" or "removed".
	Stage string `json:"stage"`
	// Self tells that it is the node that was asked.
	Self bool `json:"self,omitempty"`
	// Weight is 1 to 4.
	Weight int `json:"weight"`
	// Owned is its share of the partitions, between 0 and 1.
	Owned float64 `json:"owned"`
	// Voter and Leader are its part in Raft.
	Voter  bool `json:"voter"`
	Leader bool `json:"leader,omitempty"`
	// DriveBytes is the sum of its drives' limits at admission.
	DriveBytes int64 `json:"drive_bytes"`
	// CertificateEnd is when its certificate expires; zero = not known.
	CertificateEnd time.Time `json:"certificate_end,omitzero"`
	// Release is the version of its program at admission.
	Release string `json:"release,omitempty"`
	// Incarnation is which of its starts the node that was asked knows of; it
	// rises with each. 0 = not known.
	Incarnation uint64 `json:"incarnation,omitempty"`
}

// Drive is one directory of chunks.
type Drive struct {
	Path string `json:"path"`
	// Size is how much it may hold, Used how much it holds, in bytes.
	Size   int64 `json:"size_bytes"`
	Used   int64 `json:"used_bytes"`
	Chunks int64 `json:"chunks"`
	// State is "ok", "full" or "read-only" (it gives, but takes nothing),
	// "failed", "slow" or "missing" (it is not asked until it is back), or
	// "leaving" (its content moves to the others).
	State string `json:"state"`
	// Reason says why it is not ok.
	Reason string `json:"reason,omitempty"`
	// Corrupt counts blocks that were not what was written, since the start, and
	// CorruptToday those of 24 hours; Failing tells that these are too many.
	Corrupt      int64 `json:"corrupt_blocks,omitempty"`
	CorruptToday int64 `json:"corrupt_today,omitempty"`
	Failing      bool  `json:"failing,omitempty"`
	// Foreign is what a newer release wrote, or somebody else, in bytes.
	Foreign int64 `json:"foreign_bytes,omitempty"`
	// ScrubRounds is how often all of it was read and verified, Scrubbed when
	// last, ScrubProgress how much of the present round is done, 0 to 1.
	ScrubRounds   int64     `json:"scrub_rounds"`
	ScrubProgress float64   `json:"scrub_progress"`
	Scrubbed      time.Time `json:"scrubbed,omitzero"`
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
