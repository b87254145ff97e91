package peer

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	peerv1 "github.com/mccd/mccd/proto/mccd/peer/v1"
	"github.com/mccd/mccd/ring"
	"github.com/mccd/mccd/storage"
)

// findRecord finds the record that a request would go by: this node's own, or
// where that is not fresh what the home has.
func (x *explaining) findRecord(ctx context.Context) {
	if own := x.f.kept(x.out.ID); own != nil {
		if x.o = x.f.judge(own, true); x.o == nil {
			x.out.Dead = own
		}
		x.out.From = x.out.Self
	}
	if x.standing(); x.out.Standing != StandingFresh {
		for _, n := range x.whoseRecord() {
			if o := x.recordOf(ctx, n); o != nil && (x.o == nil || o.Registration > x.o.Registration) {
				x.o, x.out.From = o, nodeName(x.view, n.ID)
			}
		}
		x.standing()
	}
	if x.out.Record = x.o; x.o == nil {
		x.out.From = ""
	}
}

func (x *explaining) standing() {
	switch {
	case x.o == nil:
		x.out.Standing = StandingUnknown
	case x.f.isRefuted(x.o):
		x.out.Standing = StandingRefuted
	case x.rule.RevalidateAlways(x.ref.Path):
		x.out.Standing = StandingAlways
	case !x.o.Fresh(x.f.cfg.Now()):
		x.out.Standing = StandingStale
	default:
		x.out.Standing = StandingFresh
	}
}

// whoseRecord returns the nodes to ask for the record: the acting home, or where
// that is this node, those that are known to have one or have not told.
func (x *explaining) whoseRecord() (out []*ring.Node) {
	home := x.acting(x.candidates(placeOf(x.out.ID, 0), ""))
	if home != x.view.Self {
		n, _ := x.view.ByID(home)
		return []*ring.Node{n}
	}
	have := uint64(0)
	if x.o != nil {
		have = x.o.Registration
	}
	const most = 8
	known, rest := x.f.book.FindRecord(x.out.ID, have)
	nodes := x.view.Nodes()
	for i := range nodes {
		n := &nodes[i]
		wanted := rest.MayHold(n.ID)
		for _, k := range known {
			wanted = wanted || k == n.ID
		}
		if wanted && n.ID != x.view.Self && x.whyNot(n) != "failed" && len(out) < most {
			out = append(out, n)
		}
	}
	return out
}

// recordOf asks n for its record; nil = it has none that counts, or did not say.
func (x *explaining) recordOf(ctx context.Context, n *ring.Node) *storage.Object {
	k, err := x.f.links.to(n)
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, holdingsWait)
	defer cancel()
	ref := x.ref
	if !ref.QueryInKey {
		ref.Query = ""
	}
	m, err := k.client.Lookup(ctx, &peerv1.LookupRequest{Ref: refToProto(ref), Epoch: epochToProto(x.view.Epoch)}, grpc.WaitForReady(false))
	if err != nil {
		if status.Code(err) == codes.DeadlineExceeded {
			x.waits = nodeName(x.view, n.ID)
		} else {
			x.mute[n.ID] = true
		}
		return nil
	}
	if m.GetRecord() == nil {
		return nil
	}
	o, err := recordFromProto(x.ref, m.GetRecord(), x.f.cfg.Now())
	if err != nil {
		return nil
	}
	return x.f.judge(o, false)
}
