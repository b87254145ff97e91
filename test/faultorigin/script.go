package faultorigin

import (
	"net/http"
	"slices"
	"sync"
	"time"
)

// AnyPath as a path of Script means every path without a script of its own.
const AnyPath = "*"

// Break says how a body ends before its time.
type Break uint8

// The ways to break a body, each after Behaviour.After bytes of it.
const (
	// NoBreak: the body is sent to its end.
	NoBreak Break = iota
	// Stall: nothing more is sent until the client goes away or the server is
	// closed. A body of no more than After bytes does not stall, unless its
	// client waits for more or for its end.
	Stall
	// Reset: the connection is reset (RST).
	Reset
	// Short: the connection is closed in good order, too early.
	Short
)

// Behaviour is what one or more requests get. The zero value is an honest
// origin.
type Behaviour struct {
	// Requests are the numbers, from 1, of the requests at this path to which
	// the behaviour applies; nil = all.
	Requests []int

	// Delay passes before the head is sent.
	Delay time.Duration
	// Gate holds the answer back until it is opened.
	Gate *Gate
	// BodyGate holds the body back after HoldAfter bytes of it were sent.
	BodyGate  *Gate
	HoldAfter int64
	// Pause passes after PauseAfter bytes of the body, once.
	Pause      time.Duration
	PauseAfter int64
	// Rate bounds this answer's body in bytes/s; 0 = none.
	Rate int64

	// Status is answered, with a short text, in place of the object; 0 = none.
	Status int
	// Location makes the answer a redirect (Status, or 302).
	Location string
	// Token must be in the raw query, else the answer is 403.
	Token string
	// Drop closes the connection without an answer.
	Drop bool

	// Break ends the body early, after After bytes of it.
	Break Break
	After int64
	// Version is served in place of the object's own; MidVersion takes its
	// place after MidAfter bytes of the body, validators unchanged.
	Version, MidVersion string
	MidAfter            int64

	// IgnoreRange answers 200 with the whole object to a Range; IgnoreIf
	// never answers 304.
	IgnoreRange, IgnoreIf bool
	// ContentRange is sent in place of the right one; "-" sends none.
	ContentRange string
	// LengthDelta is added to the Content-Length. With less than the body has,
	// the rest of the body is sent all the same; with more, the connection is
	// closed after the body.
	LengthDelta int64
	// Chunked sends no Content-Length but chunks; UntilClose sends neither.
	Chunked, UntilClose bool
	// Extra bytes follow the body on the wire.
	Extra int
	// NoValidators leaves ETag and Last-Modified out; WeakETag makes the ETag
	// weak.
	NoValidators, WeakETag bool
	// Gzip answers 200 with the object in gzip, whatever was asked.
	Gzip bool
	// Multipart calls a 206 multipart/byteranges, without Content-Range.
	Multipart bool
	// Header is set last; a field with no value is left out of the answer.
	Header http.Header
}

func (b *Behaviour) applies(n int) bool {
	return len(b.Requests) == 0 || slices.Contains(b.Requests, n)
}

// Gate holds answers back until it is opened, so that a test needs no sleep.
type Gate struct {
	once sync.Once
	open chan struct{}
}

// NewGate returns a closed gate.
func NewGate() *Gate { return &Gate{open: make(chan struct{})} }

// Open lets all through, now and later. It may be called more than once.
func (g *Gate) Open() { g.once.Do(func() { close(g.open) }) }
