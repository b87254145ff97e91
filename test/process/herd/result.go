package herd

import (
	"fmt"
	"time"

	"github.com/mccd/mccd/storage"
)

// Failure is a request that did not bring what it asked for.
type Failure struct {
	// Addr is the node asked, Span what was still wanted of it.
	Addr string
	Span storage.Span
	// Began is when the request was sent, At when it failed.
	Began, At time.Time
	Err       error
}

// Error says which request failed and how.
func (f Failure) Error() string { return fmt.Sprintf("%s %s: %v", f.Addr, f.Span, f.Err) }

// Result is what one client saw, or several together.
type Result struct {
	// Bytes that arrived, Requests that were sent.
	Bytes    int64
	Requests int
	// Failures are requests that failed; the client went on at its next node.
	Failures []Failure
	// Wrong are the spans whose bytes were not right, Unread those that no
	// node gave.
	Wrong, Unread []storage.Span
	// Begun is when the client sent its first request; First when its first
	// byte came, zero if none came; End when it was done.
	Begun, First, End time.Time
	// Gap is the longest time between two arrivals of bytes in one stream,
	// the one before the first byte included. GapAt is when it ended.
	Gap   time.Duration
	GapAt time.Time
	// Sources counts responses by what Cache-Status says: hit, peer, miss.
	Sources map[string]int
	// ByNode counts bytes by the node that sent them.
	ByNode map[string]int64
}

// Add folds s into r.
func (r *Result) Add(s *Result) {
	r.Bytes += s.Bytes
	r.Requests += s.Requests
	r.Failures = append(r.Failures, s.Failures...)
	r.Wrong = append(r.Wrong, s.Wrong...)
	r.Unread = append(r.Unread, s.Unread...)
	r.Begun = earlier(r.Begun, s.Begun)
	r.First = earlier(r.First, s.First)
	if s.End.After(r.End) {
		r.End = s.End
	}
	if s.Gap > r.Gap {
		r.Gap, r.GapAt = s.Gap, s.GapAt
	}
	for k, v := range s.Sources {
		if r.Sources == nil {
			r.Sources = map[string]int{}
		}
		r.Sources[k] += v
	}
	for k, v := range s.ByNode {
		if r.ByNode == nil {
			r.ByNode = map[string]int64{}
		}
		r.ByNode[k] += v
	}
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// FailedAt returns the failures at nodes that excused does not name.
func (r *Result) FailedAt(excused ...string) []Failure {
	var failed []Failure
next:
	for _, f := range r.Failures {
		for _, addr := range excused {
			if f.Addr == addr {
				continue next
			}
		}
		failed = append(failed, f)
	}
	return failed
}
