package faultorigin

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/mccd/mccd/storage"
)

// Entry is what the ledger keeps of one request.
type Entry struct {
	// N numbers all requests and PathN those at this path, from 1.
	N     int `json:"n"`
	PathN int `json:"path_n"`
	// Began is when the request's head had been read.
	Began  time.Time `json:"began"`
	Remote string    `json:"remote"`
	Method string    `json:"method"`
	Host   string    `json:"host"`
	// Target is the request target as it came on the wire; Path and Query are
	// its parts.
	Target string      `json:"target"`
	Path   string      `json:"path"`
	Query  string      `json:"query"`
	Header http.Header `json:"header"`
	// Asked is the range asked for, in the object's offsets; the whole object
	// where none was.
	Asked   storage.Span `json:"asked"`
	Status  int          `json:"status"`
	Version string       `json:"version"`
	// Sent are the object's bytes that were written to the connection, also
	// to one that died.
	Sent []storage.Span `json:"sent"`
	// Done tells that the answer has ended, well or not.
	Done bool `json:"done"`
}

// Bytes returns the number of bytes sent.
func (e *Entry) Bytes() int64 {
	var n int64
	for _, s := range e.Sent {
		n += s.Len()
	}
	return n
}

// Ledger notes every request and every byte. It is safe for concurrent use.
type Ledger struct {
	mu      sync.Mutex
	entries []*Entry
	paths   map[string]int
	changed chan struct{} // closed and replaced at each change
}

func newLedger() *Ledger {
	return &Ledger{paths: make(map[string]int), changed: make(chan struct{})}
}

func (l *Ledger) update(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
	close(l.changed)
	l.changed = make(chan struct{})
}

// begin adds e and gives it its numbers.
func (l *Ledger) begin(e *Entry) {
	l.update(func() {
		l.paths[e.Path]++
		l.entries = append(l.entries, e)
		e.N, e.PathN = len(l.entries), l.paths[e.Path]
	})
}

// sent notes bytes of e and reports whether they were its first.
func (l *Ledger) sent(e *Entry, s storage.Span) (first bool) {
	if s.Empty() {
		return false
	}
	l.update(func() {
		last := len(e.Sent) - 1
		if first = last < 0; !first && e.Sent[last].End == s.Off {
			e.Sent[last].End = s.End
			return
		}
		e.Sent = append(e.Sent, s)
	})
	return first
}

// unsent takes the last n bytes of e out again.
func (l *Ledger) unsent(e *Entry, n int64) {
	l.update(func() {
		last := len(e.Sent) - 1
		if e.Sent[last].End -= n; e.Sent[last].Empty() {
			e.Sent = e.Sent[:last]
		}
	})
}

// Entries returns a copy of all entries, in the order of their beginning.
func (l *Ledger) Entries() []Entry { return l.Requests("") }

// Requests returns a copy of the entries of path ("" = all paths).
func (l *Ledger) Requests(path string) []Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []Entry
	for _, e := range l.entries {
		if path == "" || e.Path == path {
			c := *e
			c.Sent = slices.Clone(e.Sent)
			out = append(out, c)
		}
	}
	return out
}

// Reset forgets all entries; the numbers of requests begin again at 1.
func (l *Ledger) Reset() {
	l.update(func() { l.entries, l.paths = nil, make(map[string]int) })
}

// Wait returns when ok says true of the entries of path ("" = all), which it
// is asked at each change, or with ctx's error.
func (l *Ledger) Wait(ctx context.Context, path string, ok func([]Entry) bool) error {
	for {
		l.mu.Lock()
		changed := l.changed
		l.mu.Unlock()
		if ok(l.Requests(path)) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// WaitRequests returns when n requests at path have begun.
func (l *Ledger) WaitRequests(ctx context.Context, path string, n int) error {
	return l.Wait(ctx, path, func(es []Entry) bool { return len(es) >= n })
}

// WaitBytes returns when n bytes of path have been sent.
func (l *Ledger) WaitBytes(ctx context.Context, path string, n int64) error {
	return l.Wait(ctx, path, func(es []Entry) bool { return sum(es) >= n })
}

// WaitDone returns when n answers of path have ended.
func (l *Ledger) WaitDone(ctx context.Context, path string, n int) error {
	return l.Wait(ctx, path, func(es []Entry) bool {
		done := 0
		for i := range es {
			if es[i].Done {
				done++
			}
		}
		return done >= n
	})
}

func sum(es []Entry) (n int64) {
	for i := range es {
		n += es[i].Bytes()
	}
	return n
}
