package origin

import (
	"errors"
	"fmt"

	"github.com/mccd/mccd/storage"
)

// The ways in which an origin gives no usable answer; each wraps
// storage.ErrUpstream. An answer with another status is a
// *storage.StatusError instead, and a reached bound storage.ErrBusy.
var (
	// ErrConnect: no connection, by DNS, TCP or TLS, within Config.Connect.
	ErrConnect = fmt.Errorf("%w: no connection", storage.ErrUpstream)
	// ErrStall: no head within Config.FirstByte, or a body silent for
	// Config.Stall while it was being read.
	ErrStall = fmt.Errorf("%w: silent for too long", storage.ErrUpstream)
	// ErrBroken: the connection ended before the answer did.
	ErrBroken = fmt.Errorf("%w: connection ended early", storage.ErrUpstream)
	// ErrNoAnswer: a kept connection was closed under the request, before a
	// byte of the answer. Whether the origin saw the request cannot be known;
	// it may be asked once more. It wraps ErrBroken.
	ErrNoAnswer = fmt.Errorf("%w: kept connection closed under the request", ErrBroken)
	// ErrLie: the answer contradicts itself, or what was asked.
	ErrLie = fmt.Errorf("%w: contradictory answer", storage.ErrUpstream)
	// ErrMismatch: a 304 that confirms another version than the one asked
	// about; the object is to be asked for without a condition.
	ErrMismatch = fmt.Errorf("%w: 304 for another version", ErrLie)
	// ErrUnwanted: Request.Unwanted was closed before the request was sent. It
	// does not wrap storage.ErrUpstream.
	ErrUnwanted = errors.New("request is not wanted any more")
	// ErrRefused: by its rule, the address, port or redirect may not be
	// followed. The text says which setting would allow it.
	ErrRefused = fmt.Errorf("%w: refused by policy", storage.ErrUpstream)
)

// UnsatisfiableError is an origin's 416. It wraps a *storage.StatusError and
// storage.ErrRange.
type UnsatisfiableError struct {
	// Total is the object's length, -1 where the origin did not tell.
	Total  int64
	status *storage.StatusError
}

// Error says the status and the length.
func (e *UnsatisfiableError) Error() string {
	return fmt.Sprintf("%v (object of %d bytes)", e.status, e.Total)
}

// Unwrap returns the *storage.StatusError and storage.ErrRange.
func (e *UnsatisfiableError) Unwrap() []error { return []error{e.status, storage.ErrRange} }
