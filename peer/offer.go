package peer

import (
	"context"
	"errors"
	"math"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	peerv1 "github.com/mccd/mccd/proto/mccd/peer/v1"
	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/disk"
)

// offerMost bounds the chunks of one offer.
const offerMost = 16

// offerToProto describes what this node has of the chunk; nil = it has it no
// more. An error says that it cannot be opened now.
func (f *Filler) offerToProto(key storage.ChunkKey) (*peerv1.Offered, error) {
	chunk, err := f.cfg.Store.Lookup(key)
	if errors.Is(err, disk.ErrNotHeld) {
		return nil, nil //nolint:nilnil // none is an answer
	}
	if err != nil {
		return nil, err
	}
	defer chunk.Release()
	have := chunk.Presence()
	o, current := &storage.Object{Version: chunk.Version()}, false
	if known := f.cache.Record(key.Object); known != nil {
		o.Host, o.Path = known.Host, known.Path
		if known.Version.ID() == key.Version {
			o, current = known, true
		} else if !f.unmarked(o) {
			return nil, nil //nolint:nilnil // it is dead
		}
	} else if kept := f.kept(key.Object); kept != nil && f.judge(kept, true) == nil {
		return nil, nil //nolint:nilnil // a purge has killed all that there is of it
	}
	return &peerv1.Offered{
		Object: key.Object[:], Index: key.Index, Presence: &peerv1.Presence{Words: have[:]},
		Record: recordToProto(o, f.cfg.Now()), Host: o.Host, Path: []byte(o.Path), Current: current,
	}, nil
}

// offerRecord describes the record of object id alone; nil = there is none.
func (f *Filler) offerRecord(id storage.ObjectID) *peerv1.Offered {
	o := f.cache.Record(id)
	if o == nil {
		return nil
	}
	return &peerv1.Offered{
		Object: id[:], Presence: &peerv1.Presence{Words: make([]uint64, len(disk.Bitmap{}))},
		Record: recordToProto(o, f.cfg.Now()), Host: o.Host, Path: []byte(o.Path), Current: true,
	}
}

func (f *Filler) offerFromProto(m *peerv1.Offered) (o *storage.Object, have disk.Bitmap, err error) {
	if len(m.GetObject()) != len(storage.ObjectID{}) || len(m.GetPresence().GetWords()) != len(have) {
		return nil, have, errBadMessage
	}
	o, err = recordFromProto(storage.Ref{Scheme: "http", Host: m.GetHost(), Path: string(m.GetPath())}, m.GetRecord(), f.cfg.Now())
	if err != nil {
		return nil, have, err
	}
	copy(o.ID[:], m.GetObject())
	copy(have[:], m.GetPresence().GetWords())
	if !have.Empty() && int64(m.GetIndex()) >= storage.Chunks(o.Size()) {
		return nil, have, errBadMessage
	}
	return o, have, nil
}

// Offer takes chunks from a node that is about to leave, by HELD.
func (s *service) Offer(m *peerv1.OfferRequest, stream grpc.ServerStreamingServer[peerv1.OfferResponse]) error {
	ctx, done, err := s.f.begin(stream.Context())
	if err != nil {
		return err
	}
	defer done()
	if err := s.f.agree(m.GetCaller(), m.GetEpoch(), s.f.cfg.Placement.View().Digest()); err != nil {
		return err
	}
	if len(m.GetChunks()) > offerMost {
		return status.Error(codes.InvalidArgument, "too many chunks in one offer")
	}
	s.f.admitted.take("", "", math.MaxInt) // counted, for Drain
	defer s.f.admitted.give("", "")
	var beats beater
	defer beats.start(s.f.cfg.Heartbeat, func() error { return stream.Send(&peerv1.OfferResponse{}) })()
	results := make([]peerv1.OfferResponse_Result, 0, len(m.GetChunks()))
	for _, offered := range m.GetChunks() {
		result := peerv1.OfferResponse_RESULT_TAKEN
		if err := s.f.takeOffered(ctx, m.GetCaller(), offered); err != nil {
			s.f.logger.Debug("offered chunk is not taken", "node", m.GetCaller(), "error", err)
			result = peerv1.OfferResponse_RESULT_REFUSED
		}
		results = append(results, result)
		if ctx.Err() != nil {
			return errUnavailable
		}
	}
	// Who acts for them now is to know before the caller may leave.
	for id, news := range s.f.collect() {
		s.f.announce(id, news) // what is not told now is told later
	}
	for _, result := range results {
		if err := beats.send(func() error { return stream.Send(&peerv1.OfferResponse{Result: result}) }); err != nil {
			return err
		}
	}
	return nil
}

// takeOffered makes the blocks that caller has present here too.
func (f *Filler) takeOffered(ctx context.Context, caller string, m *peerv1.Offered) error {
	if f.stopping.Load() {
		return errStopped
	}
	o, have, err := f.offerFromProto(m)
	if err != nil {
		return err
	}
	if f.killed(o, m.GetCurrent()) {
		return errPurged
	}
	if m.GetCurrent() {
		f.cache.Publish(o)
		f.untoldRecord(o.ID)
	}
	if have.Empty() {
		return nil
	}
	node, ok := f.cfg.Placement.View().ByID(caller)
	if !ok || node.PeerAddr == "" {
		return errors.New("the caller is no member")
	}
	key := o.Key(m.GetIndex())
	s, err := f.openSink(ctx, key, o.Version)
	if err != nil {
		return err
	}
	defer s.close()
	base := int64(key.Index) * storage.ChunkSize
	for _, span := range heldSpans(have, s.missing(storage.Span{End: s.length()})) {
		view := f.cfg.Placement.View()
		x := &exchange{f: f, node: node, sink: s, req: &peerv1.FillRequest{
			Mode: peerv1.FillRequest_MODE_HELD, Key: keyToProto(key), Offset: base + span.Off, End: base + span.End,
			Caller: view.Self, ViewDigest: view.Digest(), Epoch: epochToProto(view.Epoch),
		}}
		err := x.run(ctx, storage.Ref{}, 0)
		f.metrics.fillBytes.WithLabelValues("offered").Add(float64(x.stored))
		if err != nil {
			return err
		}
	}
	if f.sweeper != nil && f.killed(o, m.GetCurrent()) {
		// Purged meanwhile, by a purge that may not have found it.
		return errors.Join(errPurged, f.sweeper.DropChunk(ctx, key, nil))
	}
	f.untold(key)
	return nil
}
