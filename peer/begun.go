package peer

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	peerv1 "github.com/mccd/mccd/proto/mccd/peer/v1"
	"github.com/mccd/mccd/ring"
	"github.com/mccd/mccd/storage"
)

const (
	// begunMost bounds what waits to be told to one home, begunBatch one call.
	begunMost  = 8192
	begunBatch = 512
)

// begun is what the homes of objects are to be told of this node's clients. The
// zero value is ready.
type begun struct {
	mu     sync.Mutex // guards byHome
	byHome map[string]*[]note
}

// note is a client that began to get a version of an object.
type note struct {
	object  storage.ObjectID
	client  netip.Addr
	version storage.VersionID
	at      time.Time
}

// began remembers which version client gets of o, here and at o's home. It waits
// for nothing.
func (f *Filler) began(o *storage.Object, client netip.Addr) {
	if !client.IsValid() {
		return
	}
	n := note{o.ID, client, o.Version.ID(), f.cfg.Now()}
	if !f.had.note(n.object, n.client, n.version, n.at) {
		return
	}
	home := f.homeOf(o.ID)
	if home == nil {
		return
	}
	t := &f.begun
	t.mu.Lock()
	defer t.mu.Unlock()
	if queue := t.byHome[home.ID]; queue != nil {
		if len(*queue) < begunMost {
			*queue = append(*queue, n)
		}
		return
	}
	if t.byHome == nil {
		t.byHome = make(map[string]*[]note)
	}
	t.byHome[home.ID] = &[]note{n}
	if !f.detach(func() { f.tellBegun(home) }) {
		delete(t.byHome, home.ID)
	}
}

// homeOf returns the acting home of an object, nil where that is this node, or
// nobody.
func (f *Filler) homeOf(id storage.ObjectID) *ring.Node {
	view := f.cfg.Placement.View()
	i, ok := view.Acting(uint64(placeOf(id, 0)))
	if !ok || int(i) == view.SelfIndex() {
		return nil
	}
	return view.Node(i)
}

// tellBegun tells home until nothing is left for it. What cannot be told is only
// known here.
func (f *Filler) tellBegun(home *ring.Node) {
	for {
		t := &f.begun
		t.mu.Lock()
		queue := t.byHome[home.ID]
		batch := (*queue)[:min(len(*queue), begunBatch)]
		if *queue = (*queue)[len(batch):]; len(batch) == 0 {
			delete(t.byHome, home.ID)
		}
		t.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		if err := f.callBegan(home, batch); err != nil {
			f.logger.Debug("home is not told what clients began with", "node", home.ID, "error", err)
		}
	}
}

func (f *Filler) callBegan(home *ring.Node, batch []note) error {
	k, err := f.links.to(home)
	if err != nil {
		return err
	}
	view, now := f.cfg.Placement.View(), f.cfg.Now()
	m := &peerv1.BeganRequest{Caller: view.Self, Epoch: epochToProto(view.Epoch)}
	for _, n := range batch {
		client := n.client.As16()
		m.Begun = append(m.Begun, &peerv1.Begun{Object: n.object[:], Client: client[:], Had: hadToProto(n.version, now.Sub(n.at))})
	}
	ctx, cancel := context.WithTimeout(f.ctx, f.cfg.BreakerOpen)
	defer cancel()
	_, err = k.client.Began(ctx, m)
	return err
}

func hadToProto(v storage.VersionID, age time.Duration) *peerv1.Had {
	return &peerv1.Had{Version: v[:], AgeNanos: int64(max(0, age))}
}

func hadFromProto(m *peerv1.Had, now time.Time) (hadVersion, error) {
	var h hadVersion
	if len(m.GetVersion()) != len(h.version) || m.GetAgeNanos() < 0 {
		return h, errBadMessage
	}
	copy(h.version[:], m.GetVersion())
	h.at = now.Add(-time.Duration(m.GetAgeNanos()))
	return h, nil
}

func clientFromProto(b []byte) (netip.Addr, error) {
	if len(b) != 16 {
		return netip.Addr{}, errBadMessage
	}
	return netip.AddrFrom16([16]byte(b)), nil
}

// Began takes what clients of another node began with, of objects whose home
// this node is.
func (s *service) Began(ctx context.Context, m *peerv1.BeganRequest) (*peerv1.BeganResponse, error) {
	_, done, err := s.f.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	if err := s.f.agree(m.GetCaller(), m.GetEpoch(), s.f.cfg.Placement.View().Digest()); err != nil {
		return nil, err
	}
	now := s.f.cfg.Now()
	for _, b := range m.GetBegun() {
		h, err := hadFromProto(b.GetHad(), now)
		client, cerr := clientFromProto(b.GetClient())
		if err != nil || cerr != nil || len(b.GetObject()) != len(storage.ObjectID{}) {
			return nil, status.Error(codes.InvalidArgument, errBadMessage.Error())
		}
		s.f.had.note(storage.ObjectID(b.GetObject()), client, h.version, h.at)
	}
	return &peerv1.BeganResponse{}, nil
}
