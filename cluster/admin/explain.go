package admin

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	adminv1 "github.com/mccd/mccd/proto/mccd/admin/v1"
)

// Explainer tells what a client's request would meet.
type Explainer interface {
	// Explain reads url as a client's request and rng ("0-99", "100-", "-100",
	// empty = all) as what it wants. It asks no origin and changes nothing. The
	// error says what of url or rng cannot be read, without a query.
	Explain(ctx context.Context, url, rng string) (*Explanation, error)
}

func (s *service) Explain(ctx context.Context, req *adminv1.ExplainRequest) (*adminv1.ExplainResponse, error) {
	if s.cfg.Explainer == nil {
		return nil, status.Error(codes.Unimplemented, "explain: this node cannot")
	}
	e, err := s.cfg.Explainer.Explain(ctx, req.GetUrl(), req.GetRange())
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, "explain: "+err.Error())
	}
	return explanationToProto(e), nil
}

// Explain tells what a request for url would meet at the node.
func (c *Client) Explain(ctx context.Context, url, rng string) (*Explanation, error) {
	resp, err := c.rpc.Explain(ctx, &adminv1.ExplainRequest{Url: url, Range: rng})
	if err != nil {
		return nil, plain(err)
	}
	return explanationFromProto(resp), nil
}

// each maps from with f; nil where there is nothing.
func each[A, B any](from []A, f func(A) B) []B {
	if len(from) == 0 {
		return nil
	}
	to := make([]B, len(from))
	for i, v := range from {
		to[i] = f(v)
	}
	return to
}

func explanationToProto(e *Explanation) *adminv1.ExplainResponse {
	p := &adminv1.ExplainResponse{
		Node: e.Node, Object: e.Object, Silent: e.Silent, FirstByte: e.FirstByte, EndByte: e.EndByte, MoreChunks: e.More, Next: e.Next,
		Url:  &adminv1.NamedURL{Scheme: e.URL.Scheme, Host: e.URL.Host, Path: e.URL.Path, Form: e.URL.Form, QueryBytes: e.URL.QueryBytes},
		Home: each(e.Home, candidateToProto), Chunks: each(e.Chunks, chunkToProto),
	}
	if r := e.Refused; r != nil {
		p.Refused = &adminv1.Refused{Status: int32(r.Status), Text: r.Text, Nearest: r.Nearest}
		return p
	}
	p.Rule = &adminv1.ExplainedRule{
		Name: e.Rule.Name, Product: e.Rule.Product, Profile: e.Rule.Profile, KeyHost: e.Rule.KeyHost,
		QueryInKey: e.Rule.QueryInKey, JoinSchemes: e.Rule.JoinSchemes,
	}
	if v := e.Version; v != nil {
		p.Version = &adminv1.ExplainedVersion{
			Id: v.ID, ToldBy: v.ToldBy, Etag: v.ETag, LastModified: v.LastModified, Size: v.Size, ContentType: v.ContentType,
			Mark: v.Mark, From: v.From, Whole: v.Whole,
		}
	}
	f := e.Freshness
	p.Freshness = &adminv1.Freshness{
		Standing: f.Standing, ValidatedAgo: durationpb.New(f.ValidatedAgo), FreshFor: durationpb.New(f.FreshFor), Left: durationpb.New(f.Left), Why: f.Why,
	}
	p.Purge = &adminv1.PurgeStanding{Index: e.Purge.Index, Killed: e.Purge.Killed}
	if m := e.Purge.Hit; m != nil {
		p.Purge.Hit = &adminv1.PurgeMark{Index: m.Index, Id: m.ID, Host: m.Host, Path: m.Path, Prefix: m.Prefix, Product: m.Product}
	}
	return p
}

func candidateToProto(c Candidate) *adminv1.Candidate {
	return &adminv1.Candidate{Node: c.Node, WhyNot: c.WhyNot}
}

func chunkToProto(c ExplainedChunk) *adminv1.ExplainedChunk {
	return &adminv1.ExplainedChunk{
		Index: c.Index, FirstByte: c.FirstByte, EndByte: c.EndByte, Size: c.Size, Order: each(c.Order, candidateToProto), Acting: c.Acting,
		Holders: each(c.Holders, func(h ExplainedHolder) *adminv1.ExplainedHolder {
			return &adminv1.ExplainedHolder{Node: h.Node, Bytes: h.Bytes, Coming: h.Coming, Flights: int32(h.Flights), Worth: h.Worth, Known: h.Known}
		}),
		Steps: each(c.Steps, func(s ExplainedStep) *adminv1.ExplainedStep {
			return &adminv1.ExplainedStep{Kind: s.Kind, By: s.By, From: s.From, Bytes: s.Bytes, Why: s.Why}
		}),
	}
}

func explanationFromProto(p *adminv1.ExplainResponse) *Explanation {
	u, r, f := p.GetUrl(), p.GetRule(), p.GetFreshness()
	e := &Explanation{
		Node: p.GetNode(), Object: p.GetObject(), Silent: p.GetSilent(), FirstByte: p.GetFirstByte(), EndByte: p.GetEndByte(),
		More: p.GetMoreChunks(), Next: p.GetNext(),
		URL:  NamedURL{Scheme: u.GetScheme(), Host: u.GetHost(), Path: u.GetPath(), Form: u.GetForm(), QueryBytes: u.GetQueryBytes()},
		Home: each(p.GetHome(), candidateFromProto), Chunks: each(p.GetChunks(), chunkFromProto),
		Rule: ExplainedRule{
			Name: r.GetName(), Product: r.GetProduct(), Profile: r.GetProfile(), KeyHost: r.GetKeyHost(),
			QueryInKey: r.GetQueryInKey(), JoinSchemes: r.GetJoinSchemes(),
		},
		Freshness: Freshness{
			Standing: f.GetStanding(), ValidatedAgo: f.GetValidatedAgo().AsDuration(), FreshFor: f.GetFreshFor().AsDuration(),
			Left: f.GetLeft().AsDuration(), Why: f.GetWhy(),
		},
		Purge: PurgeStanding{Index: p.GetPurge().GetIndex(), Killed: p.GetPurge().GetKilled()},
	}
	if no := p.GetRefused(); no != nil {
		e.Refused = &Refused{Status: int(no.GetStatus()), Text: no.GetText(), Nearest: no.GetNearest()}
	}
	if v := p.GetVersion(); v != nil {
		e.Version = &ExplainedVersion{
			ID: v.GetId(), ToldBy: v.GetToldBy(), ETag: v.GetEtag(), LastModified: v.GetLastModified(), Size: v.GetSize(),
			ContentType: v.GetContentType(), Mark: v.GetMark(), From: v.GetFrom(), Whole: v.GetWhole(),
		}
	}
	if m := p.GetPurge().GetHit(); m != nil {
		e.Purge.Hit = &PurgeMark{Index: m.GetIndex(), ID: m.GetId(), Host: m.GetHost(), Path: m.GetPath(), Prefix: m.GetPrefix(), Product: m.GetProduct()}
	}
	return e
}

func candidateFromProto(p *adminv1.Candidate) Candidate {
	return Candidate{Node: p.GetNode(), WhyNot: p.GetWhyNot()}
}

func chunkFromProto(p *adminv1.ExplainedChunk) ExplainedChunk {
	return ExplainedChunk{
		Index: p.GetIndex(), FirstByte: p.GetFirstByte(), EndByte: p.GetEndByte(), Size: p.GetSize(), Order: each(p.GetOrder(), candidateFromProto), Acting: p.GetActing(),
		Holders: each(p.GetHolders(), func(h *adminv1.ExplainedHolder) ExplainedHolder {
			return ExplainedHolder{Node: h.GetNode(), Bytes: h.GetBytes(), Coming: h.GetComing(), Flights: int(h.GetFlights()), Worth: h.GetWorth(), Known: h.GetKnown()}
		}),
		Steps: each(p.GetSteps(), func(s *adminv1.ExplainedStep) ExplainedStep {
			return ExplainedStep{Kind: s.GetKind(), By: s.GetBy(), From: s.GetFrom(), Bytes: s.GetBytes(), Why: s.GetWhy()}
		}),
	}
}
