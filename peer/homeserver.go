package peer

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/mccd/mccd/peer/resolve"
	peerv1 "github.com/mccd/mccd/proto/mccd/peer/v1"
	"github.com/mccd/mccd/storage"
)

// place is where a chunk belongs: its placement hash.
type place uint64

func placeOf(id storage.ObjectID, index uint32) place { return place(storage.PlacementHash(id, index)) }

// onList reports whether this node is among the candidates of p.
func (f *Filler) onList(p place) bool {
	view := f.cfg.Placement.View()
	for _, i := range view.Order(uint64(p)) {
		if view.Node(i).ID == view.Self {
			return true
		}
	}
	return false
}

// Resolve serves the home's side of a question.
func (s *service) Resolve(stream grpc.BidiStreamingServer[peerv1.ResolveRequest, peerv1.ResolveResponse]) error {
	ctx, done, err := s.f.begin(stream.Context())
	if err != nil {
		return err
	}
	defer done()
	m, err := stream.Recv()
	if err != nil {
		return err
	}
	open := m.GetOpen()
	if open == nil {
		return status.Error(codes.InvalidArgument, "the first message does not say what is to be resolved")
	}
	if err := s.f.agree(open.GetCaller(), open.GetEpoch(), open.GetViewDigest()); err != nil {
		return err
	}
	ref, rule, err := s.f.refFromProto(open.GetRef())
	if err != nil {
		return stream.Send(&peerv1.ResolveResponse{Failure: failureToProto(err)})
	}
	hq := resolve.Query{Registration: open.GetRegistration(), Always: open.GetAlways() || rule.RevalidateAlways(ref.Path)}
	if open.GetRefuted() != nil {
		v, err := versionFromProto(open.GetRefuted())
		if err != nil {
			return status.Error(codes.InvalidArgument, err.Error())
		}
		hq.Refuted = v.ID()
	}
	c := &homeCall{f: s.f, ref: ref, stream: stream}
	defer c.beats.start(s.f.cfg.Heartbeat, func() error { return stream.Send(&peerv1.ResolveResponse{Heartbeat: true}) })()
	alike := s.f.cache.Record(ref.ID()) == nil && s.f.stoodStillAs(open.GetCaller(), open.GetPassedOver())
	if caller := epochFromProto(open.GetEpoch()); alike || !s.f.onListOf(ctx, placeOf(ref.ID(), 0), caller) {
		return c.send(&peerv1.ResolveResponse{NotOwner: s.f.notOwner(caller, "")})
	}
	s.f.awaitPurges(ctx, epochFromProto(open.GetEpoch()), open.GetPurgeIndex())
	return c.serve(ctx, hq)
}

// homeCall is one question being answered by this node as home.
type homeCall struct {
	f      *Filler
	ref    storage.Ref
	stream grpc.BidiStreamingServer[peerv1.ResolveRequest, peerv1.ResolveResponse]
	beats  beater
}

func (c *homeCall) send(m *peerv1.ResolveResponse) error {
	return c.beats.send(func() error { return c.stream.Send(m) })
}

func (c *homeCall) serve(ctx context.Context, hq resolve.Query) error {
	g, err := c.f.askHome(ctx, c.ref, hq)
	if err != nil {
		if c.f.ctx.Err() != nil {
			return errUnavailable
		}
		if ctx.Err() != nil {
			return status.FromContextError(ctx.Err()).Err()
		}
		return c.send(&peerv1.ResolveResponse{Failure: failureToProto(err)})
	}
	now := c.f.cfg.Now()
	if g.Record != nil {
		return c.send(&peerv1.ResolveResponse{Record: recordToProto(g.Record, now)})
	}
	id := c.ref.ID()
	defer c.f.home.Lose(id, g.Lease) // without effect once it was answered
	if err := c.send(&peerv1.ResolveResponse{Lease: g.Lease, Stale: recordToProto(g.Stale, now)}); err != nil {
		return err
	}
	return c.lease(ctx, id, g.Lease)
}

// lease waits for the lease holder's result, as long as it is heard.
func (c *homeCall) lease(ctx context.Context, id storage.ObjectID, lease uint64) error {
	heard := make(chan *peerv1.ResolveRequest)
	go func() { // ends with the stream
		defer close(heard)
		for {
			m, err := c.stream.Recv()
			if err != nil {
				return
			}
			select {
			case heard <- m:
			case <-ctx.Done():
				return
			}
		}
	}()
	silence := time.NewTimer(c.f.cfg.Silence)
	defer silence.Stop()
	due := monotonic() + int64(c.f.cfg.Silence)
	for {
		select {
		case m, ok := <-heard:
			if !ok {
				return nil
			}
			silence.Reset(c.f.cfg.Silence)
			due = monotonic() + int64(c.f.cfg.Silence)
			if done, err := c.result(id, lease, m); done {
				return err
			}
		case <-c.f.ctx.Done():
			return errUnavailable
		case <-silence.C:
			if monotonic()-due > int64(c.f.cfg.Heartbeat) {
				// This process stood still itself: what came is not read yet.
				silence.Reset(c.f.cfg.Silence)
				due = monotonic() + int64(c.f.cfg.Silence)
				continue
			}
			return status.Error(codes.Aborted, "the lease holder is silent")
		}
	}
}

// result takes a message of the lease holder; done tells that it was its result.
func (c *homeCall) result(id storage.ObjectID, lease uint64, m *peerv1.ResolveRequest) (done bool, err error) {
	switch {
	case m.GetRegister() != nil:
		o, err := recordFromProto(c.ref, m.GetRegister().GetRecord(), c.f.cfg.Now())
		if err != nil {
			return true, status.Error(codes.InvalidArgument, err.Error())
		}
		current := c.f.registerHere(m.GetRegister().GetLease(), o)
		if current == nil {
			return true, c.send(&peerv1.ResolveResponse{Failure: failureToProto(errPurged)})
		}
		return true, c.send(&peerv1.ResolveResponse{Record: recordToProto(current, c.f.cfg.Now())})
	case m.GetFailure() != nil:
		c.f.home.Fail(id, lease, failureFromProto(m.GetFailure()))
		return true, nil
	default:
		return false, nil
	}
}
