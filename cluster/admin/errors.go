package admin

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/mccd/mccd/cluster/state"
)

// ErrUnreachable tells that no node answers on the admin socket.
var ErrUnreachable = errors.New("no mccd answers")

// domain is that of google.rpc.ErrorInfo.
const domain = "mccd"

// refusal is how one sentinel crosses the wire. Reasons are for programs and
// stay.
type refusal struct {
	err    error
	code   codes.Code
	reason string
}

// refusals is the one mapping of errors, both ways. The first that fits counts:
// where the outcome is unknown, whatever else is known of it does not.
func refusals() []refusal {
	return []refusal{
		{state.ErrUnknownOutcome, codes.Unknown, "UNKNOWN_OUTCOME"},
		{state.ErrNoQuorum, codes.Unavailable, "NO_QUORUM"},
		{state.ErrConflict, codes.Aborted, "CONFLICT"},
		{state.ErrTokenUnknown, codes.PermissionDenied, "TOKEN_UNKNOWN"},
		{state.ErrTokenExpired, codes.PermissionDenied, "TOKEN_EXPIRED"},
		{state.ErrTokenUsedUp, codes.PermissionDenied, "TOKEN_USED_UP"},
		{state.ErrTokenRevoked, codes.PermissionDenied, "TOKEN_REVOKED"},
		{state.ErrNodeRemoved, codes.PermissionDenied, "NODE_REMOVED"},
		{state.ErrPassphrase, codes.PermissionDenied, "PASSPHRASE"},
		{state.ErrNodeUnknown, codes.NotFound, "NODE_UNKNOWN"},
		{state.ErrNotFound, codes.NotFound, "NOT_FOUND"},
		{state.ErrInvalid, codes.InvalidArgument, "INVALID"},
		{state.ErrNoCluster, codes.FailedPrecondition, "NO_CLUSTER"},
		{state.ErrInCluster, codes.FailedPrecondition, "IN_CLUSTER"},
		{state.ErrNameTaken, codes.FailedPrecondition, "NAME_TAKEN"},
		{state.ErrVersion, codes.FailedPrecondition, "NEWER_RELEASE"},
		{state.ErrIncompatible, codes.FailedPrecondition, "INCOMPATIBLE"},
		{state.ErrRecoverRefused, codes.FailedPrecondition, "RECOVER_REFUSED"},
	}
}

// wireError gives err its code on the wire, with its text as it is. A nil err
// is nil.
func wireError(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return status.FromContextError(ctx.Err()).Err()
	}
	for _, r := range refusals() {
		if !errors.Is(err, r.err) {
			continue
		}
		st, detailErr := status.New(r.code, err.Error()).WithDetails(&errdetails.ErrorInfo{Domain: domain, Reason: r.reason})
		if detailErr != nil {
			return status.Error(r.code, err.Error())
		}
		return st.Err()
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return status.Error(codes.DeadlineExceeded, err.Error())
	}
	return status.Error(codes.FailedPrecondition, err.Error())
}

// plain takes the wire's wrapping off an error: the text alone, which still is
// the sentinel that it was at the node.
func plain(err error) error {
	st := status.Convert(err)
	for _, detail := range st.Details() {
		info, ok := detail.(*errdetails.ErrorInfo)
		if !ok || info.GetDomain() != domain {
			continue
		}
		for _, r := range refusals() {
			if r.reason == info.GetReason() {
				return &remoteError{st.Message(), r.err}
			}
		}
	}
	switch st.Code() {
	case codes.Unavailable:
		return fmt.Errorf("%w any more: %s", ErrUnreachable, st.Message())
	case codes.DeadlineExceeded:
		return &remoteError{st.Message(), context.DeadlineExceeded}
	case codes.Canceled:
		return context.Canceled
	case codes.Unimplemented:
		return fmt.Errorf("the node that runs is of an older release than this program: %s", st.Message())
	default:
		return errors.New(st.Message())
	}
}

// remoteError is a node's text, and what it means.
type remoteError struct {
	text string
	is   error
}

func (e *remoteError) Error() string { return e.text }
func (e *remoteError) Unwrap() error { return e.is }
