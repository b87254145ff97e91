package peer

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"

	peerv1 "github.com/mccd/mccd/proto/mccd/peer/v1"
	"github.com/mccd/mccd/ring"
	"github.com/mccd/mccd/storage"
)

// imports lets one question at a time ask other nodes for the record of one
// object. The zero value is ready.
type imports struct {
	mu   sync.Mutex // guards byID
	byID map[storage.ObjectID]chan struct{}
}

// begin returns mine = true to who is to ask; end is then called. Others get
// the channel that closes when that one has asked.
func (t *imports) begin(id storage.ObjectID) (asked chan struct{}, mine bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if asked = t.byID[id]; asked != nil {
		return asked, false
	}
	if t.byID == nil {
		t.byID = make(map[storage.ObjectID]chan struct{})
	}
	asked = make(chan struct{})
	t.byID[id] = asked
	return asked, true
}

func (t *imports) end(id storage.ObjectID, asked chan struct{}) {
	t.mu.Lock()
	delete(t.byID, id)
	t.mu.Unlock()
	close(asked)
}

// importRecord gets, for this node as home, the record of ref's object from
// those that may have a newer one: nodes that have told so, and nodes that have
// not told yet. A home whose partition is settled asks nobody.
func (f *Filler) importRecord(ctx context.Context, ref storage.Ref) {
	f.noticePause()
	view := f.see()
	id := ref.ID()
	nodes := f.whoMayHaveRecord(view, id)
	if len(nodes) == 0 {
		return
	}
	asked, mine := f.imports.begin(id)
	if !mine {
		select {
		case <-asked:
		case <-ctx.Done():
		}
		return
	}
	defer f.imports.end(id, asked)
	f.metrics.lookups.Add(float64(len(nodes)))
	var wg sync.WaitGroup
	for _, node := range nodes {
		wg.Go(func() {
			o, err := f.lookup(f.ctx, node, ref)
			if err != nil {
				return
			}
			f.book.ForgetRecord(node.ID, id)
			if o != nil {
				f.cache.Publish(o) // the newest of all stays
			}
		})
	}
	wg.Wait()
}

func (f *Filler) whoMayHaveRecord(view *ring.View, id storage.ObjectID) (out []*ring.Node) {
	have := uint64(0)
	if own := f.cache.Record(id); own != nil {
		have = own.Registration
	}
	known, rest := f.book.FindRecord(id, have)
	nodes := view.Nodes()
	for i := range nodes {
		n := &nodes[i]
		if n.ID == view.Self || n.PeerAddr == "" || n.State == ring.Failed && !f.links.lively(n) {
			continue
		}
		wanted := rest.MayHold(n.ID) && len(out) < f.cfg.HeldFanout
		for _, k := range known {
			wanted = wanted || k == n.ID
		}
		if wanted {
			out = append(out, n)
		}
	}
	return out
}

// lookup asks node for its record of ref's object; nil = it has none. A node
// that is slow is waited for as long as it is heard.
func (f *Filler) lookup(ctx context.Context, node *ring.Node, ref storage.Ref) (*storage.Object, error) {
	m, err := f.callLookup(ctx, node, ref, netip.Addr{})
	if err != nil || m.GetRecord() == nil {
		return nil, err
	}
	return recordFromProto(ref, m.GetRecord(), f.cfg.Now())
}

// callLookup asks node for its record of ref's object, and what client had of
// it; the zero Addr = nobody's.
func (f *Filler) callLookup(ctx context.Context, node *ring.Node, ref storage.Ref, client netip.Addr) (m *peerv1.LookupResponse, err error) {
	for err = errBroken; errors.Is(err, errBroken); {
		m, err = f.callLookupOnce(ctx, node, ref, client)
	}
	return m, err
}

func (f *Filler) callLookupOnce(ctx context.Context, node *ring.Node, ref storage.Ref, client netip.Addr) (*peerv1.LookupResponse, error) {
	k, err := f.links.to(node)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	x := exchange{f: f}
	limit := f.cfg.Silence
	if k.suspected() {
		x.impatient, limit = true, limit/3
	}
	w := startWatch(k, limit, cancel)
	defer w.close()
	defer f.keepHearing(ctx, k)()
	var m *peerv1.LookupResponse
	err = w.receive(func() (err error) {
		m, err = k.client.Lookup(ctx, &peerv1.LookupRequest{
			Ref: refToProto(ref), Epoch: epochToProto(f.cfg.Placement.View().Epoch), Client: clientToProto(client),
		})
		return err
	})
	if err != nil {
		return nil, x.ended(ctx, k, err)
	}
	return m, nil
}

// keepHearing pings k each heartbeat while a call waits that has none of its
// own. The returned function ends it.
func (f *Filler) keepHearing(ctx context.Context, k *link) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		ticker := time.NewTicker(f.cfg.Heartbeat)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
			case <-ctx.Done():
				return
			}
			_, _ = k.client.Ping(ctx, &peerv1.PingRequest{}) // what comes back is noted by the link
		}
	})
	return func() {
		cancel()
		wg.Wait()
	}
}
