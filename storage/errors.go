package storage

import (
	"errors"
	"fmt"
	"net/http"
)

// The ends of a fill that are told apart by those who answer a client or a
// peer. Everything else is the node's own trouble (503).
var (
	// ErrVersionGone: the version that a response began with can no longer be
	// had from anywhere; the response ends by closing its connection.
	ErrVersionGone = errors.New("version is gone")
	// ErrBusy: a bound was reached; asking again later may help.
	ErrBusy = errors.New("busy")
	// ErrLength: the object has no known length and may not be sent without.
	ErrLength = errors.New("object of unknown length")
	// ErrUncacheable: the origin forbids storing; a request is passed through
	// where the profile allows it.
	ErrUncacheable = errors.New("origin forbids storing")
	// ErrUpstream: the origin could not be reached, stalled, or lied.
	ErrUpstream = errors.New("no usable answer from the origin")
	// ErrRange: no byte of the wanted range exists in the object.
	ErrRange = errors.New("range not satisfiable")
)

// StatusError is an origin's answer that carries no bytes of the object. It is
// final for the cluster: no other node asks again for the same flight.
type StatusError struct {
	// Code is the origin's status.
	Code int
	// Header holds the end-to-end headers that may go on to a client of
	// ProfileHTTP; may be nil.
	Header http.Header
}

// Error says the status; it never holds the URL's query.
func (e *StatusError) Error() string {
	return fmt.Sprintf("origin answered %d %s", e.Code, http.StatusText(e.Code))
}
