package peer

import (
	"errors"
	"fmt"
	"net/http"

	peerv1 "github.com/mccd/mccd/proto/mccd/peer/v1"
	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/disk"
)

// errTrouble is a peer's own trouble: another candidate may be tried.
var errTrouble = errors.New("peer in trouble")

// errNotServed tells that a peer does not serve the origin: its configuration
// differs.
var errNotServed = errors.New("peer does not serve this origin")

// errFull tells that the origin's queue is full, or moves too slowly: waiting
// does not help, at this node or another.
var errFull = fmt.Errorf("%w at the origin", storage.ErrBusy)

// failures maps the ends of a fill to the contract's kinds. The first that
// matches counts.
var failures = []struct { //nolint:gochecknoglobals // a table, never changed
	err  error
	kind peerv1.Failure_Kind
}{
	{storage.ErrVersionGone, peerv1.Failure_KIND_VERSION_GONE},
	{storage.ErrLength, peerv1.Failure_KIND_LENGTH},
	{storage.ErrUncacheable, peerv1.Failure_KIND_UNCACHEABLE},
	{storage.ErrRange, peerv1.Failure_KIND_RANGE},
	{storage.ErrBusy, peerv1.Failure_KIND_BUSY},
	{storage.ErrUpstream, peerv1.Failure_KIND_UPSTREAM},
	{disk.ErrNotHeld, peerv1.Failure_KIND_NOT_HELD},
	{errNotServed, peerv1.Failure_KIND_NOT_SERVED},
	{errTrouble, peerv1.Failure_KIND_UNSPECIFIED},
}

func failureToProto(err error) *peerv1.Failure {
	if status, ok := errors.AsType[*storage.StatusError](err); ok {
		return &peerv1.Failure{
			Kind: peerv1.Failure_KIND_STATUS, Text: err.Error(),
			Status: int32(status.Code), Headers: headersToProto(status.Header),
		}
	}
	if errors.Is(err, errFull) {
		return &peerv1.Failure{Kind: peerv1.Failure_KIND_BUSY, Status: http.StatusServiceUnavailable, Text: err.Error()}
	}
	for _, f := range failures {
		if errors.Is(err, f.err) {
			return &peerv1.Failure{Kind: f.kind, Text: err.Error()}
		}
	}
	return &peerv1.Failure{Kind: peerv1.Failure_KIND_UNSPECIFIED, Text: err.Error()}
}

func failureFromProto(f *peerv1.Failure) error {
	if f.GetKind() == peerv1.Failure_KIND_STATUS {
		return &storage.StatusError{Code: int(f.GetStatus()), Header: headersFromProto(f.GetHeaders())}
	}
	if f.GetKind() == peerv1.Failure_KIND_BUSY && f.GetStatus() == http.StatusServiceUnavailable {
		return &remoteError{text: f.GetText(), kind: errFull}
	}
	for _, known := range failures {
		if known.kind == f.GetKind() {
			return &remoteError{text: f.GetText(), kind: known.err}
		}
	}
	return &remoteError{text: f.GetText(), kind: errTrouble}
}

// remoteError is an error that a peer told: its text, and what it is here.
type remoteError struct {
	text string
	kind error
}

func (e *remoteError) Error() string { return "peer: " + e.text }
func (e *remoteError) Unwrap() error { return e.kind }

// final reports whether err ends a flight for the whole cluster: no other
// candidate is asked.
func final(err error) bool {
	if _, ok := errors.AsType[*storage.StatusError](err); ok {
		return true
	}
	for _, end := range []error{
		storage.ErrVersionGone, storage.ErrLength, storage.ErrUncacheable, storage.ErrRange, storage.ErrUpstream,
	} {
		if errors.Is(err, end) {
			return true
		}
	}
	return false
}
