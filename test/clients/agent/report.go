package agent

import (
	"fmt"
	"time"
)

// FallBack is a client's going to the CDN.
type FallBack struct {
	// From is the cache that it left.
	From string
	Why  *Failure
}

// Report is what one download was like.
type Report struct {
	// Client is "lite" or "windows".
	Client string
	Object *Object
	// Cache and CDN are the bytes of the object by source; ByNode those of the
	// cache by address.
	Cache, CDN int64
	ByNode     map[string]int64
	// Requests were sent, Resumes of them with a Range in mid-file.
	Requests, Resumes int
	Bans              []Ban
	FallBacks         []FallBack
	// Version is that of the file, "" if it is none: then Wrong says how.
	Version string
	Wrong   string
	// Crashed: the agent would have ended with a fault.
	Crashed bool
	// Err is why it ended without a file; nil if it ended well.
	Err error
	// CDNFailures are those of the CDN itself.
	CDNFailures []*Failure
	// PieceHashes counts the statuses of requests for piece hashes.
	PieceHashes map[int]int
	// First is the wait for the first byte, Took the whole time.
	First, Took time.Duration
}

// NewReport returns an empty one.
func NewReport(client string, o *Object) *Report {
	return &Report{Client: client, Object: o, ByNode: make(map[string]int64), PieceHashes: make(map[int]int)}
}

// Got counts n bytes of the object from addr.
func (r *Report) Got(addr string, n int64, cdn bool) {
	if cdn {
		r.CDN += n
		return
	}
	r.Cache += n
	r.ByNode[addr] += n
}

// Faults are the reasons for which a download was not as it should be, in
// words; expected reports which fall-backs are none.
func (r *Report) Faults(expected func(*Report, FallBack) bool) (faults []string) {
	say := func(format string, args ...any) {
		faults = append(faults, fmt.Sprintf("%s %s: ", r.Client, r.Object.Path)+fmt.Sprintf(format, args...))
	}
	for _, b := range r.Bans {
		say("ban of %s for %q: %v", b.Cache, b.Host, b.Why)
	}
	for _, f := range r.FallBacks {
		if expected == nil || !expected(r, f) {
			say("fall-back: %v", f.Why)
		}
	}
	switch {
	case r.Crashed:
		say("crashed: %s", r.Wrong)
	case r.Wrong != "":
		say("wrong bytes: %s", r.Wrong)
	case r.Err != nil:
		say("no file: %v", r.Err)
	}
	return faults
}
