package peer

import (
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	peerv1 "github.com/mccd/mccd/proto/mccd/peer/v1"
	"github.com/mccd/mccd/ring"
	"github.com/mccd/mccd/storage"
)

// localError is trouble of this node with the bytes that a peer sent: no other
// peer can help.
type localError struct{ error }

// Unwrap returns the trouble.
func (e *localError) Unwrap() error { return e.error }

// exchange is one FILL, HELD or PROBE at one peer.
type exchange struct {
	f    *Filler
	node *ring.Node
	req  *peerv1.FillRequest
	// onRecord takes the object's record and says where its bytes go; nil =
	// the sink is known. It is called at most once.
	onRecord func(o *storage.Object) (*sink, error)
	sink     *sink
	// onSlow, if not nil, is told that the peer does not have the bytes yet.
	onSlow func()
	// presence is the answer to a PROBE.
	presence *peerv1.Presence
	// impatient: less than the setting's silence ends the call, and is not held
	// against the peer.
	impatient bool
	// stored counts the bytes written.
	stored int64
	// corrupt tells of blocks that were dropped.
	corrupt error
}

// run sends the request and takes the answers until the end. errSilent and
// errTrouble mean that another candidate may be asked, *errNotOwner that this
// one is the wrong one; other errors are those of final.
func (x *exchange) run(ctx context.Context, ref storage.Ref, silence int64) error {
	link, err := x.f.links.to(x.node)
	if err != nil {
		return fmt.Errorf("%w: %w", errTrouble, err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	x.impatient = silence > 0
	way := link.lanes.take()
	defer way.give()
	w := startLaneWatch(link, way, x.f.limit(silence), cancel)
	defer w.close()

	var stream grpc.ServerStreamingClient[peerv1.FillResponse]
	err = w.receive(func() (err error) {
		stream, err = way.client.Fill(ctx, x.req, grpc.WaitForReady(false))
		return err
	})
	var m frame
	for err == nil {
		if err = w.receive(func() error { return stream.RecvMsg(&m) }); err != nil {
			break
		}
		var done bool
		if done, err = x.take(ref, &m); done {
			return err
		}
	}
	return x.ended(ctx, link, err)
}

// ended says what the end of the stream means.
func (x *exchange) ended(ctx context.Context, k *link, err error) error {
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errSilent):
		if !x.impatient {
			x.f.links.suspect(k)
		}
		return errSilent
	case cause != nil:
		return cause
	case errors.Is(err, io.EOF):
		return fmt.Errorf("%w: answer without an end", errTrouble)
	}
	if isForeign(err) {
		return errForeign
	}
	switch status.Code(err) {
	case codes.Unavailable, codes.Canceled:
		if x.f.brokenByPause(k) {
			return errBroken
		}
		x.f.links.suspect(k) // its process or its connection is gone
		return errSilent
	case codes.ResourceExhausted:
		return fmt.Errorf("%w: %w", storage.ErrBusy, err) // this node was slow to take what came
	default:
	}
	return fmt.Errorf("%w: %w", errTrouble, err)
}

// take handles one message; done tells that it was the last.
func (x *exchange) take(ref storage.Ref, m *frame) (done bool, err error) {
	if m.head == nil || m.data.Len() > 0 {
		defer m.data.Free()
		if x.sink == nil {
			return true, fmt.Errorf("%w: data before a record", errTrouble)
		}
		n, err := x.sink.frameData(m)
		x.stored += n
		switch {
		case errors.Is(err, errCorrupt):
			x.corrupt = err // the other blocks are welcome
		case errors.Is(err, errBadMessage):
			return true, fmt.Errorf("%w: %w", errTrouble, err)
		case err != nil:
			return true, &localError{err}
		}
		return false, nil
	}
	head := m.head
	if r := head.GetRecord(); r != nil && x.onRecord != nil {
		o, err := recordFromProto(ref, r, x.f.cfg.Now())
		if err != nil {
			return true, fmt.Errorf("%w: %w", errTrouble, err)
		}
		take := x.onRecord
		x.onRecord = nil
		if x.sink, err = take(o); err != nil {
			return true, err
		}
	}
	switch {
	case head.GetNotOwner() != nil:
		return true, notOwnerFromProto(head.GetNotOwner())
	case head.GetFailure() != nil:
		return true, failureFromProto(head.GetFailure())
	case x.onSlow != nil && head.GetState() != peerv1.FillResponse_STATE_UNSPECIFIED && head.GetState() != peerv1.FillResponse_STATE_DISK:
		x.onSlow()
	case head.GetPresence() != nil:
		x.presence = head.GetPresence()
	}
	if head.GetDone() {
		return true, x.corrupt
	}
	return false, nil
}
