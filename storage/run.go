package storage

import (
	"net/netip"
	"os"
	"time"
)

// Source says where bytes came from when they were asked for.
type Source uint8

// The sources, in the words of the logs and metrics.
const (
	// SourceDisk: the node had the bytes (a hit).
	SourceDisk Source = iota
	// SourcePeer: another node of the cluster had or fetched them (a peer
	// hit).
	SourcePeer
	// SourceOrigin: this node fetched them from the origin (a miss).
	SourceOrigin
)

// String returns "hit", "peer" or "miss".
func (s Source) String() string {
	switch s {
	case SourcePeer:
		return "peer"
	case SourceOrigin:
		return "miss"
	default:
		return "hit"
	}
}

// Run is a stretch of present, verified bytes in a chunk file. The file is
// shared by all its readers: it is read with explicit offsets only (sendfile
// or pread), never by moving its own offset, and never written. Of a block that
// is just arriving from the origin a run may hold the first bytes themselves.
type Run struct {
	File *os.File
	// Bytes are the run's bytes where File is nil. They are not to be changed.
	Bytes []byte
	// Off is the offset of the run's first byte in File.
	Off int64
	// Len is the number of bytes.
	Len int64
	// From is where the bytes came from, for this request.
	From Source
	// Collapsed tells that the bytes came by a flight that another request
	// had started.
	Collapsed bool
}

// Request is what a request asks of the fill.
type Request struct {
	Ref Ref
	// Rule is the rule of Ref's origin.
	Rule *Rule
	// First is the first span that the client wants. A negative Off counts
	// from the end (a suffix range); End = MaxInt64 means to the end.
	First Span
	// Whole tells that the client wants the object from First on to its end,
	// in order, so that reading ahead pays.
	Whole bool
	// Total is the length that the client takes the object to have, from a
	// resume; 0 = it did not tell. An object of another length is never sent
	// for it (docs/clients.md section 8).
	Total int64
	// Resumes tells that the client comes back after a break with nothing but
	// Total and its address (Delivery Optimization Lite): which version it has
	// is remembered for Client, so that it gets no other one then.
	Resumes bool
	// Client is who asks: by it ranges are known to continue each other, so that
	// they are read ahead. The zero Addr = not known.
	Client netip.Addr
	// NotBefore is when the origin must have confirmed the object, or later,
	// for its record to answer; the zero Time = whenever, while it is fresh.
	NotBefore time.Time
	// HeadOnly tells that no bytes are wanted, only the record.
	HeadOnly bool
}
