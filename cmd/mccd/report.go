package main

import "time"

// report is what `mccd status -o json` prints. Its names are stable: scripts
// read them.
type report struct {
	NodeID     string          `json:"node_id"`
	Name       string          `json:"name"`
	Zone       string          `json:"zone"`
	Version    string          `json:"version"`
	StartTime  time.Time       `json:"start_time"`
	Addresses  []reportAddress `json:"addresses"`
	ViewDigest string          `json:"view_digest"`
	ViewSerial uint64          `json:"view_serial"`
	Nodes      []reportNode    `json:"nodes"`
	Drives     []reportDrive   `json:"drives"`
	Cache      reportCache     `json:"cache"`
	Warnings   []string        `json:"warnings"`
}

type reportAddress struct {
	Purpose string `json:"purpose"`
	Address string `json:"address"`
}

type reportNode struct {
	ID         string  `json:"id"`
	Name       string  `json:"name"`
	Zone       string  `json:"zone"`
	PeerAddr   string  `json:"peer_addr"`
	GossipAddr string  `json:"gossip_addr"`
	State      string  `json:"state"`
	Self       bool    `json:"self"`
	Owned      float64 `json:"owned"`
}

type reportDrive struct {
	Path      string `json:"path"`
	SizeBytes int64  `json:"size_bytes"`
	UsedBytes int64  `json:"used_bytes"`
	Chunks    int64  `json:"chunks"`
	State     string `json:"state"`
	Reason    string `json:"reason"`
}

type reportCache struct {
	HitBytes    int64 `json:"hit_bytes"`
	PeerBytes   int64 `json:"peer_bytes"`
	MissBytes   int64 `json:"miss_bytes"`
	Requests    int64 `json:"requests"`
	OriginBytes int64 `json:"origin_bytes"`
	Flights     int64 `json:"flights"`
}
