package peer

import (
	"context"
	"errors"
	"math"
	"net"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/mccd/mccd/peer/holders"
	peerv1 "github.com/mccd/mccd/proto/mccd/peer/v1"
	"github.com/mccd/mccd/ring"
	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/disk"
)

// service is the Filler as other nodes see it.
type service struct {
	peerv1.UnimplementedPeerServer
	f *Filler
}

// Ping answers at once.
func (s *service) Ping(context.Context, *peerv1.PingRequest) (*peerv1.PingResponse, error) {
	return &peerv1.PingResponse{}, nil
}

// Lookup answers with this node's own record, never another's.
func (s *service) Lookup(ctx context.Context, m *peerv1.LookupRequest) (*peerv1.LookupResponse, error) {
	ctx, done, err := s.f.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	if err := s.f.agree("", m.GetEpoch(), s.f.cfg.Placement.View().Digest()); err != nil {
		return nil, err
	}
	ref, _, err := s.f.refFromProto(m.GetRef())
	if err != nil {
		return &peerv1.LookupResponse{}, nil
	}
	answer := &peerv1.LookupResponse{}
	if m.GetClient() == nil {
		s.f.asking.await(ctx, ref.ID())
	} else {
		s.f.importRecord(ctx, ref) // asks nobody where all is known here
		if answer.Had, err = s.f.tellHad(ref.ID(), m.GetClient()); err != nil {
			return nil, status.Error(codes.InvalidArgument, err.Error())
		}
	}
	answer.Record = recordToProto(s.f.cache.Record(ref.ID()), s.f.cfg.Now())
	return answer, nil
}

// maxCaches bounds the bytes in which a peer names the caches on the way.
const maxCaches = 1 << 10

// refFromProto checks that this node serves the origin too: a peer's word is
// not enough to make it a proxy.
func (f *Filler) refFromProto(m *peerv1.Ref) (storage.Ref, *storage.Rule, error) {
	host := m.GetHost()
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	rule, ok := f.cfg.Catalogue.Lookup(strings.Trim(host, "[]"))
	caches := m.GetCaches()
	if len(caches) > maxCaches || strings.ContainsFunc(caches, func(c rune) bool { return c < ' ' || c > '~' }) {
		caches = "" // not what a node of ours sends
	}
	if !ok || (m.GetScheme() != "http" && m.GetScheme() != "https") || len(m.GetPath()) == 0 || m.GetPath()[0] != '/' {
		return storage.Ref{}, nil, errNotServed
	}
	return storage.Ref{
		Scheme: m.GetScheme(), Host: m.GetHost(), Path: string(m.GetPath()), Query: string(m.GetQuery()),
		KeyHost: rule.KeyHost, QueryInKey: rule.QueryInKey, JoinSchemes: rule.JoinSchemes, Caches: caches,
	}, rule, nil
}

// Fill serves FILL, HELD and PROBE.
func (s *service) Fill(m *peerv1.FillRequest, stream grpc.ServerStreamingServer[peerv1.FillResponse]) error {
	ctx, done, err := s.f.begin(stream.Context())
	if err != nil {
		return err
	}
	defer done()
	if err := s.f.agree(m.GetCaller(), m.GetEpoch(), m.GetViewDigest()); err != nil {
		return err
	}
	call := &fillCall{f: s.f, m: m, stream: stream, epoch: epochFromProto(m.GetEpoch())}
	if m.GetMode() == peerv1.FillRequest_MODE_FILL {
		if s.f.stopping.Load() { // its successors act for it; what it holds it still gives
			return call.send(&peerv1.FillResponse{NotOwner: s.f.notOwner(call.epoch, "")})
		}
		if !s.f.admitted.take(m.GetCaller(), m.GetRef().GetHost(), s.f.cfg.FillsPerPeer) {
			s.f.metrics.busy.WithLabelValues("fills").Inc()
			return call.send(&peerv1.FillResponse{State: peerv1.FillResponse_STATE_BUSY, Failure: failureToProto(storage.ErrBusy)})
		}
		defer s.f.admitted.give(m.GetCaller(), m.GetRef().GetHost())
	} else {
		s.f.admitted.take("", "", math.MaxInt) // counted, for Drain, not bounded
		defer s.f.admitted.give("", "")
	}
	defer call.forsake()
	stop := call.beats.start(s.f.cfg.Heartbeat, call.beat)
	err = call.serve(ctx)
	stop()
	if err = call.settle(ctx, err); errors.Is(err, errStalled) {
		return err
	}
	if err == nil {
		return call.send(&peerv1.FillResponse{Done: true})
	}
	if elsewhere, ok := errors.AsType[*errNotOwner](err); ok {
		return call.send(&peerv1.FillResponse{NotOwner: s.f.notOwner(call.epoch, elsewhere.whole)})
	}
	if stream.Context().Err() != nil {
		return status.FromContextError(stream.Context().Err()).Err()
	}
	if errors.Is(err, errStopped) {
		return errUnavailable
	}
	answer := &peerv1.FillResponse{Failure: failureToProto(err)}
	if errors.Is(err, storage.ErrVersionGone) && call.o != nil {
		// The caller learns which version took the place.
		if now := s.f.cache.Record(call.o.ID); now != nil && now.Version.ID() != call.o.Version.ID() {
			answer.Record = recordToProto(now, s.f.cfg.Now())
		}
	}
	return call.send(answer)
}

// fillCall is one FILL, HELD or PROBE being served.
type fillCall struct {
	f      *Filler
	m      *peerv1.FillRequest
	stream grpc.ServerStreamingServer[peerv1.FillResponse]
	epoch  ring.Epoch // the caller's
	ref    storage.Ref
	rule   *storage.Rule
	o      *storage.Object

	beats beater
	state peerv1.FillResponse_State // under beats.mu
	// leaving is the last message of data, which may still be on its way; nil =
	// none was sent. It is set under beats.mu.
	leaving *departure
}

func (c *fillCall) send(m any) error {
	return c.beats.send(func() error { return c.stream.SendMsg(m) })
}

// doing tells the caller at once what this node does for it; beats repeat it.
func (c *fillCall) doing(state peerv1.FillResponse_State) error {
	return c.beats.send(func() error {
		c.state = state
		return c.stream.SendMsg(&peerv1.FillResponse{State: state})
	})
}

func (c *fillCall) serve(ctx context.Context) (err error) {
	if c.m.GetKey() != nil {
		return c.serveByKey(ctx)
	}
	if c.ref, c.rule, err = c.f.refFromProto(c.m.GetRef()); err != nil {
		return err
	}
	if c.m.GetRecord() != nil {
		if c.o, err = recordFromProto(c.ref, c.m.GetRecord(), c.f.cfg.Now()); err != nil {
			return status.Error(codes.InvalidArgument, err.Error())
		}
		if err := c.judge(); err != nil {
			return err
		}
	}
	span := storage.Span{Off: c.m.GetOffset(), End: c.m.GetEnd()}
	if span.Off < 0 || span.Empty() || storage.ChunkOf(span.Off) != storage.ChunkOf(span.End-1) {
		return status.Error(codes.InvalidArgument, "the wanted bytes do not lie in one chunk")
	}
	switch c.m.GetMode() {
	case peerv1.FillRequest_MODE_PROBE, peerv1.FillRequest_MODE_HELD:
		if c.o == nil {
			return status.Error(codes.InvalidArgument, "no record with HELD")
		}
		return c.held(ctx, c.o.Key(storage.ChunkOf(span.Off)), span)
	case peerv1.FillRequest_MODE_FILL:
		c.f.awaitPurges(ctx, c.epoch, c.m.GetPurgeIndex())
		return c.fill(ctx, span)
	default:
		return status.Error(codes.InvalidArgument, "mode is not known")
	}
}

// fill acts as the chunk's owner.
func (c *fillCall) fill(ctx context.Context, span storage.Span) error {
	index := storage.ChunkOf(span.Off)
	if c.o != nil && c.o.Whole != "" && c.o.Whole != c.f.self() {
		// The caller could not reach that node, or knows of no better.
		if !c.passedOver(c.o.Whole) {
			return &errNotOwner{whole: c.o.Whole}
		}
		o := *c.o
		o.Whole = c.f.self()
		c.o = &o
		index = 0 // the home's successors act for the node that filled it
	}
	if c.passedOver(c.f.self()) {
		c.f.seenDead()
	}
	if c.stoodStillToo(index, span) {
		return &errNotOwner{}
	}
	acts := c.m.GetRecord().GetWhole() == c.f.self() || c.f.onListOf(ctx, placeOf(c.ref.ID(), index), c.epoch)
	if !acts {
		if c.o != nil && c.f.holds(c.o, span) {
			return c.held(ctx, c.o.Key(index), span)
		}
		return &errNotOwner{}
	}
	if c.o == nil || c.m.GetRevalidate() {
		if err := c.learn(ctx, span); err != nil {
			return err
		}
	} else if !c.m.GetPast() && c.f.cache.Record(c.o.ID) == nil {
		c.f.cache.Publish(c.o)
	}
	if c.m.GetRecordOnly() {
		return nil
	}
	span = span.Intersect(storage.Span{End: c.o.Size()})
	if span.Empty() {
		return nil
	}
	if c.o.Whole != "" && c.o.Whole != c.f.self() {
		return &errNotOwner{whole: c.o.Whole}
	}
	return c.streamSpan(ctx, span)
}

func (c *fillCall) passedOver(node string) bool {
	for _, p := range c.m.GetPassedOver() {
		if p.GetNode() == node {
			return true
		}
	}
	return false
}

// learn resolves the object on the caller's behalf and sends its record.
func (c *fillCall) learn(ctx context.Context, span storage.Span) error {
	if err := c.doing(peerv1.FillResponse_STATE_RESOLVE); err != nil {
		return err
	}
	now := c.f.cfg.Now()
	known := c.f.cache.Record(c.ref.ID())
	refuted := known != nil && c.f.isRefuted(known) ||
		c.m.GetRefuted() && c.o != nil && (known == nil || known.Registration <= c.o.Registration)
	behind := known != nil && c.o != nil && known.Registration < c.o.Registration // the caller's is out of date all the same
	always := c.m.GetAlways() || c.rule.RevalidateAlways(c.ref.Path)
	if known == nil || refuted || behind || always || !known.Fresh(now) {
		stale := c.o
		if known != nil && (stale == nil || known.Registration >= stale.Registration) {
			stale = known
		}
		q := question{
			ref: c.ref, rule: c.rule, first: span, recordOnly: c.m.GetRecordOnly(), always: always, stale: stale,
			asOwner: true, passed: c.m.GetPassedOver(), caller: c.m.GetCaller(),
		}
		if refuted {
			q.refuted = stale.Version.ID()
		}
		o, err := c.f.resolve(ctx, q)
		if err != nil {
			return err
		}
		known = o
	}
	c.o = known
	return c.send(&peerv1.FillResponse{State: peerv1.FillResponse_STATE_ORIGIN, Record: recordToProto(known, now)})
}

// streamSpan sends the bytes of span as they become present.
func (c *fillCall) streamSpan(ctx context.Context, span storage.Span) error {
	c.f.requested.add(c.o.Key(storage.ChunkOf(span.Off)), span, c.o.Size(), func() bool { return true })
	j := &job{o: c.o, ref: c.ref, rule: c.rule, past: c.m.GetPast(), passed: c.m.GetPassedOver(), caller: c.m.GetCaller()}
	r := reader{f: c.f, j: j, asOwner: true}
	defer r.end()
	rounded := storage.Span{Off: span.Off / storage.BlockSize * storage.BlockSize, End: span.End}
	flights, err := r.want(ctx, rounded, false)
	if err != nil {
		return err
	}
	state := peerv1.FillResponse_STATE_DISK
	for _, fl := range flights {
		state = peerv1.FillResponse_STATE_ORIGIN
		if fl.source() == storage.SourcePeer {
			state = peerv1.FillResponse_STATE_HOLDER
		}
	}
	if err := c.doing(state); err != nil {
		return err
	}
	began := rounded.Off
	defer func() { c.learnHolder(storage.Span{Off: began, End: rounded.Off}) }()
	for rounded.Off < rounded.End {
		run, err := r.next(ctx, rounded)
		if err != nil {
			return err
		}
		// Whole blocks only: a run ends within a block only at the span's end.
		if err := c.sendRun(ctx, r.chunk, run, rounded.Off); err != nil {
			return err
		}
		c.f.metrics.served.WithLabelValues("fill").Add(float64(run.Len))
		rounded.Off += run.Len
	}
	return nil
}

// learnHolder notes that the caller has sent, which was sent to it.
func (c *fillCall) learnHolder(sent storage.Span) {
	if sent.Empty() || c.m.GetCaller() == "" {
		return
	}
	key := c.o.Key(storage.ChunkOf(sent.Off))
	have := blocksOf(disk.Bitmap{}, sent.Shift(-int64(key.Index)*storage.ChunkSize))
	c.f.book.Learn(c.m.GetCaller(), holders.Held{Key: key, Have: have})
}
