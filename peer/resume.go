package peer

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	peerv1 "github.com/mccd/mccd/proto/mccd/peer/v1"
	"github.com/mccd/mccd/ring"
	"github.com/mccd/mccd/storage"
)

// resumed returns the record of the version that req, which tells no more than
// the object's length, goes on with (docs/clients.md section 8): known is the
// current one, past tells that it is an earlier one. ErrVersionGone where it
// cannot be told: bytes of two versions are never mixed.
func (f *Filler) resumed(ctx context.Context, req storage.Request, known *storage.Object) (o *storage.Object, past bool, err error) {
	id := known.ID
	versions := f.had.of(id, req.Client, f.cfg.Now())
	home := f.homeOf(id)
	heard := home == nil
	if home == nil {
		f.importRecord(ctx, req.Ref)
	} else if told, err := f.askHad(ctx, home, req); err == nil {
		versions, heard = append(versions, told...), true
	}
	if ctx.Err() != nil {
		return nil, false, context.Cause(ctx)
	}
	if now := f.cache.Record(id); now != nil && now.Registration > known.Registration {
		known = now // the home has told of it
	}
	all := f.ofSize(known, req.Total)
	pick := func() *resumable {
		c := choose(all, versions, f.cfg.Now())
		if c != nil && maybeAnother(known, c, versions) {
			return nil
		}
		return c
	}
	chosen := pick()
	if chosen == nil && len(all) > 0 && (len(versions) == 0 || !heard) {
		versions = append(versions, f.askAllHad(ctx, home, req)...)
		chosen = pick()
	}
	if chosen == nil {
		return nil, false, fmt.Errorf("resume of %d bytes, %d versions have them: %w", req.Total, len(all), storage.ErrVersionGone)
	}
	return chosen.o, chosen.o != known, nil
}

// resumable is a version that a resume may go on with. until is when it was
// replaced, zero for the current one.
type resumable struct {
	o     *storage.Object
	until time.Time
}

// ofSize returns the versions of that length, the current one first.
func (f *Filler) ofSize(o *storage.Object, size int64) (out []resumable) {
	if o.Size() == size {
		out = append(out, resumable{o: o})
	}
	for _, p := range o.Past {
		if p.Version.Size != size {
			continue
		}
		if e := o.Earlier(p); f.unmarked(e) {
			out = append(out, resumable{e, p.Until})
		}
	}
	return out
}

// choose returns the one of all that the client has begun with, by what it had,
// nil where that cannot be told: of several that it had, behind one address, any
// may be meant. Where nothing is known of it, it has begun long ago, or
// elsewhere: then there must be one only that it can have come by lately.
func choose(all []resumable, had []hadVersion, now time.Time) *resumable {
	var mine, lately []int
	for i, c := range all {
		id := c.o.Version.ID()
		for _, h := range had {
			if h.version == id {
				mine = append(mine, i)
				break
			}
		}
		if c.until.IsZero() || now.Sub(c.until) < storage.ResumeWindow {
			lately = append(lately, i)
		}
	}
	switch {
	case len(mine) == 1:
		return &all[mine[0]]
	case len(mine) > 1:
		return nil
	case len(all) == 1:
		return &all[0]
	case len(lately) == 1:
		return &all[lately[0]]
	default:
		return nil
	}
}

// maybeAnother reports whether a client that had not the chosen version had one
// of which o, the object's record, does not tell that its length was another: it
// may be of the same, from before a purge or of too long ago to be known.
func maybeAnother(o *storage.Object, chosen *resumable, had []hadVersion) bool {
	length := chosen.o.Size()
	others := map[storage.VersionID]bool{o.Version.ID(): o.Size() != length}
	for _, p := range o.Past {
		others[p.Version.ID()] = p.Version.Size != length
	}
	another := false
	for _, h := range had {
		if h.version == chosen.o.Version.ID() {
			return false
		}
		another = another || !others[h.version]
	}
	return another
}

// askHad asks node what the client of req had of its object; the record that
// node has is published here.
func (f *Filler) askHad(ctx context.Context, node *ring.Node, req storage.Request) ([]hadVersion, error) {
	answer, err := f.callLookup(ctx, node, req.Ref, req.Client)
	if err != nil {
		return nil, err
	}
	now := f.cfg.Now()
	if answer.GetRecord() != nil {
		o, err := recordFromProto(req.Ref, answer.GetRecord(), now)
		if err != nil {
			return nil, err
		}
		f.cache.Publish(o)
	}
	return hadListFromProto(answer.GetHad(), now)
}

func hadListFromProto(in []*peerv1.Had, now time.Time) ([]hadVersion, error) {
	out := make([]hadVersion, 0, len(in))
	for _, m := range in {
		h, err := hadFromProto(m, now)
		if err != nil {
			return nil, err
		}
		out = append(out, h)
	}
	return out, nil
}

// askAllHad is askHad of all live nodes but home, which was asked before: each
// knows its own clients, also where a home that knew is gone.
func (f *Filler) askAllHad(ctx context.Context, home *ring.Node, req storage.Request) (out []hadVersion) {
	view := f.cfg.Placement.View()
	var mu sync.Mutex
	var wg sync.WaitGroup
	nodes := view.Nodes()
	for i := range nodes {
		n := &nodes[i]
		if n.ID == view.Self || home != nil && n.ID == home.ID || n.PeerAddr == "" || n.State == ring.Failed || !f.links.usable(n) {
			continue
		}
		wg.Go(func() {
			told, err := f.askHad(ctx, n, req)
			if err != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			out = append(out, told...)
		})
	}
	wg.Wait()
	return out
}

// tellHad returns what client, an address of 16 bytes, had of an object.
func (f *Filler) tellHad(id storage.ObjectID, client []byte) (out []*peerv1.Had, err error) {
	addr, err := clientFromProto(client)
	if err != nil {
		return nil, err
	}
	now := f.cfg.Now()
	for _, h := range f.had.of(id, addr, now) {
		out = append(out, hadToProto(h.version, now.Sub(h.at)))
	}
	return out, nil
}

// clientToProto returns the 16 bytes of an address, none where it is not known.
func clientToProto(client netip.Addr) []byte {
	if !client.IsValid() {
		return nil
	}
	b := client.As16()
	return b[:]
}
