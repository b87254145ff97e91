package peer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/mccd/mccd/peer/resolve"
	peerv1 "github.com/mccd/mccd/proto/mccd/peer/v1"
	"github.com/mccd/mccd/ring"
	"github.com/mccd/mccd/storage"
)

// homeSession is a question at the home of an object: a record answers it, or
// a lease that ends with register, fail or close.
type homeSession interface {
	grant() resolve.Grant
	// register tells what the origin said and returns the record that counts;
	// nil = none, a purge has overtaken it.
	register(o *storage.Object) *storage.Object
	// fail tells the origin's error to all who wait at the home.
	fail(err error)
	close()
}

// openHome asks the acting home of q's object, which may be this node.
func (f *Filler) openHome(ctx context.Context, q question) (homeSession, error) {
	r := &route{f: f, id: q.ref.ID()}
	for {
		node := r.next()
		if node == nil {
			return f.openOwnHome(ctx, q)
		}
		hs, err := f.openRemoteHome(ctx, q, r, node)
		switch {
		case err == nil:
			return hs, nil
		case final(err) || ctx.Err() != nil:
			return nil, err
		case errors.Is(err, errBroken):
			// The same node, over a new connection.
		case errors.Is(err, errSilent):
			r.pass(node.ID, peerv1.PassedOver_REASON_SILENT)
		default:
			elsewhere, ok := errors.AsType[*errNotOwner](err)
			switch {
			case !ok:
				r.pass(node.ID, peerv1.PassedOver_REASON_TROUBLE)
			case !f.caughtUp(r, elsewhere):
				r.pass(node.ID, peerv1.PassedOver_REASON_NOT_OWNER)
			}
		}
	}
}

// homeQuery is q in the home's words.
func homeQuery(q *question) resolve.Query {
	hq := resolve.Query{Refuted: q.refuted, Always: q.always}
	if q.stale != nil {
		hq.Registration = q.stale.Registration
	}
	return hq
}

// ownHome is a session at this node's own Home.
type ownHome struct {
	f     *Filler
	id    storage.ObjectID
	g     resolve.Grant
	ended bool
}

func (f *Filler) openOwnHome(ctx context.Context, q question) (homeSession, error) {
	g, err := f.askHome(ctx, q.ref, homeQuery(&q))
	if err != nil {
		return nil, err
	}
	return &ownHome{f: f, id: q.ref.ID(), g: g}, nil
}

// askHome asks this node's Home, which first gets what others that may have
// been home before, or have kept a copy, know and it does not.
func (f *Filler) askHome(ctx context.Context, ref storage.Ref, hq resolve.Query) (resolve.Grant, error) {
	f.importRecord(ctx, ref)
	return f.home.Acquire(ctx, ref.ID(), hq)
}

// registerHere registers o at this node's Home under a lease (0 = none); nil = a
// purge has overtaken it.
func (f *Filler) registerHere(lease uint64, o *storage.Object) *storage.Object {
	current := f.home.Register(o.ID, lease, o)
	if current != nil {
		f.untoldRecord(o.ID)
	}
	return current
}

func (h *ownHome) grant() resolve.Grant { return h.g }

func (h *ownHome) register(o *storage.Object) *storage.Object {
	h.ended = true
	return h.f.registerHere(h.g.Lease, o)
}

func (h *ownHome) fail(err error) {
	h.ended = true
	h.f.home.Fail(h.id, h.g.Lease, err)
}

func (h *ownHome) close() {
	if !h.ended && h.g.Lease != 0 {
		h.f.home.Lose(h.id, h.g.Lease)
	}
}

// remoteHome is a session at another node's Home, kept by a stream: it beats
// while the origin is asked, and the lease is lost when it is not heard.
type remoteHome struct {
	f      *Filler
	ref    storage.Ref
	link   *link
	watch  *watch
	stream grpc.BidiStreamingClient[peerv1.ResolveRequest, peerv1.ResolveResponse]
	g      resolve.Grant
	cancel context.CancelCauseFunc
	ctx    context.Context

	send sync.Mutex // serialises Send
	beat chan struct{}
}

func (f *Filler) openRemoteHome(ctx context.Context, q question, r *route, node *ring.Node) (homeSession, error) {
	k, err := f.links.to(node)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errTrouble, err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	h := &remoteHome{f: f, ref: q.ref, link: k, ctx: ctx, cancel: cancel, beat: make(chan struct{})}
	h.watch = startWatch(k, f.cfg.Silence, cancel)
	open := &peerv1.ResolveOpen{
		Ref: refToProto(q.ref), Caller: f.self(), ViewDigest: r.digest, Epoch: epochToProto(r.epoch), PassedOver: r.passed,
		PurgeIndex: f.purges().Stamp().Index, Always: q.always,
	}
	hq := homeQuery(&q)
	open.Registration = hq.Registration
	if q.stale != nil && hq.Refuted != (storage.VersionID{}) {
		open.Refuted = versionToProto(q.stale.Version)
	}
	err = h.watch.receive(func() (err error) {
		if h.stream, err = k.client.Resolve(ctx); err != nil {
			return err
		}
		return h.stream.Send(&peerv1.ResolveRequest{Open: open})
	})
	if err == nil {
		err = h.await(func(m *peerv1.ResolveResponse) bool { return m.GetLease() != 0 || m.GetRecord() != nil })
	}
	if err != nil {
		x := exchange{f: f}
		if !final(err) {
			if _, ok := errors.AsType[*errNotOwner](err); !ok {
				err = x.ended(ctx, k, err)
			}
		}
		close(h.beat)
		h.stop()
		return nil, err
	}
	f.detach(h.heartbeat)
	return h, nil
}

// await receives until want is satisfied, and takes what it says.
func (h *remoteHome) await(want func(*peerv1.ResolveResponse) bool) error {
	for {
		var m *peerv1.ResolveResponse
		err := h.watch.receive(func() (err error) { m, err = h.stream.Recv(); return err })
		if err != nil {
			return err
		}
		if m.GetFailure() != nil {
			return failureFromProto(m.GetFailure())
		}
		if m.GetNotOwner() != nil {
			return notOwnerFromProto(m.GetNotOwner())
		}
		if !want(m) {
			continue
		}
		h.g = resolve.Grant{Lease: m.GetLease()}
		now := h.f.cfg.Now()
		if m.GetRecord() != nil {
			h.g.Record, err = recordFromProto(h.ref, m.GetRecord(), now)
			if err == nil && h.f.dead(h.g.Record) {
				err = errBehind
			}
		} else if m.GetStale() != nil {
			h.g.Stale, err = recordFromProto(h.ref, m.GetStale(), now)
			if err == nil {
				h.g.Stale = h.f.judge(h.g.Stale, false)
			}
		}
		return err
	}
}

func (h *remoteHome) heartbeat() {
	ticker := time.NewTicker(h.f.cfg.Heartbeat)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if h.write(&peerv1.ResolveRequest{Heartbeat: true}) != nil {
				return
			}
		case <-h.beat:
			return
		case <-h.ctx.Done():
			return
		}
	}
}

func (h *remoteHome) write(m *peerv1.ResolveRequest) error {
	h.send.Lock()
	defer h.send.Unlock()
	return h.stream.Send(m)
}

func (h *remoteHome) grant() resolve.Grant { return h.g }

func (h *remoteHome) register(o *storage.Object) *storage.Object {
	lease := h.g.Lease
	err := h.write(&peerv1.ResolveRequest{Register: &peerv1.Register{Lease: lease, Record: recordToProto(o, h.f.cfg.Now())}})
	if err == nil {
		err = h.await(func(m *peerv1.ResolveResponse) bool { return m.GetRecord() != nil })
	}
	if err == nil {
		return h.g.Record
	}
	h.f.logger.Warn("version is not registered at its home", "host", o.Host, "error", err)
	own := *o
	if now := h.f.cache.Record(o.ID); now != nil {
		own.Registration = now.Registration + 1
	}
	return &own
}

func (h *remoteHome) fail(err error) {
	_ = h.write(&peerv1.ResolveRequest{Failure: failureToProto(err)}) // a lost lease says the same later
	_ = h.stream.CloseSend()
	_ = h.await(func(*peerv1.ResolveResponse) bool { return false }) // until the home has read it
}

func (h *remoteHome) close() {
	close(h.beat)
	h.stop()
}

func (h *remoteHome) stop() {
	h.watch.close()
	h.cancel(nil)
}
