package node

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/mccd/mccd/cluster/admin"
	"github.com/mccd/mccd/peer"
	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/httpcache"
)

// explainer tells the admin service what a client's request would meet: the
// gateway reads it, the fill says the rest.
type explainer struct{ n *Node }

var _ admin.Explainer = explainer{}

// Explain reads url as a client's request and rng as what it wants.
func (x explainer) Explain(ctx context.Context, url, rng string) (*admin.Explanation, error) {
	want, err := wantedSpan(rng)
	if err != nil {
		return nil, err
	}
	r, err := x.request(url)
	if err != nil {
		return nil, err
	}
	named := x.n.gateway.Named(r)
	e := &admin.Explanation{Node: x.n.cfg.Name, URL: admin.NamedURL{
		Scheme: named.Ref.Scheme, Host: named.Ref.Host, Path: named.Ref.Path, QueryBytes: int64(len(named.Ref.Query)), Form: "host",
	}}
	if named.ByParam {
		e.URL.Form = "cacheHostOrigin"
	}
	if named.Status != 0 {
		e.Refused = &admin.Refused{Status: named.Status, Text: named.Text, Nearest: nearest(named.Ref.Host, x.n.catalogue.Rules())}
		return e, nil
	}
	rule := named.Rule
	e.Rule = admin.ExplainedRule{
		Name: rule.Name, Product: rule.Product, Profile: rule.Profile.String(), KeyHost: rule.KeyHost,
		QueryInKey: rule.QueryInKey, JoinSchemes: rule.JoinSchemes,
	}
	x.fill(e, x.n.filler.Explain(ctx, named.Ref, rule, want), rule, named.Ref.Path)
	return e, nil
}

// request returns what a client would send for text. Errors do not repeat it: its
// query may be signed.
func (x explainer) request(text string) (*http.Request, error) {
	text, _, _ = strings.Cut(text, "#")
	r := &http.Request{Method: http.MethodGet, Host: x.n.Addr(), RequestURI: text}
	if strings.HasPrefix(text, "/") && !strings.HasPrefix(text, "//") {
		return r, nil
	}
	scheme, rest, ok := strings.Cut(text, "://")
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	scheme, r.Host, r.RequestURI = strings.ToLower(scheme), rest[:end], rest[end:]
	if !ok || scheme != "http" && scheme != "https" || r.Host == "" || strings.Contains(r.Host, "@") {
		return nil, errors.New("this is no URL: write http://HOST/PATH, https://HOST/PATH, or /PATH?cacheHostOrigin=HOST")
	}
	if !strings.HasPrefix(r.RequestURI, "/") {
		r.RequestURI = "/" + r.RequestURI
	}
	if scheme == "https" {
		r.TLS = new(tls.ConnectionState)
	}
	return r, nil
}

// wantedSpan reads one range as Range names it; empty = all.
func wantedSpan(rng string) (storage.Span, error) {
	if rng == "" {
		return storage.Span{End: math.MaxInt64}, nil
	}
	bad := fmt.Errorf("range %.40q: write 0-99, 100- or -100", rng)
	first, last, ok := strings.Cut(strings.TrimPrefix(rng, "bytes="), "-")
	number := func(s string) (int64, bool) {
		n, err := strconv.ParseInt(s, 10, 64)
		return n, err == nil && n >= 0 && n < math.MaxInt64 && s[0] != '+'
	}
	off, hasOff := number(first)
	end, hasEnd := number(last)
	switch {
	case !ok:
	case first == "" && hasEnd && end > 0:
		return storage.Span{Off: -end, End: math.MaxInt64}, nil
	case hasOff && last == "":
		return storage.Span{Off: off, End: math.MaxInt64}, nil
	case hasOff && hasEnd && end >= off:
		return storage.Span{Off: off, End: end + 1}, nil
	}
	return storage.Span{}, bad
}

// fill takes over what the fill explains.
func (x explainer) fill(e *admin.Explanation, from *peer.Explanation, rule *storage.Rule, path string) {
	e.Object, e.Silent, e.More, e.Next = from.ID.String(), from.Silent, from.More, from.Next
	e.FirstByte, e.EndByte = from.Span.Off, max(from.Span.Off, from.Span.End)
	e.Freshness.Standing = string(from.Standing)
	e.Purge = admin.PurgeStanding{Index: from.Purges.Index, Killed: from.Dead != nil}
	if m := from.Mark; m != nil {
		e.Purge.Hit = &admin.PurgeMark{Index: m.Index, ID: m.ID, Host: m.Host, Path: m.Path, Prefix: m.Prefix, Product: m.Product}
	}
	e.Home = candidates(from.Home)
	size := int64(-1)
	if o := from.Record; o != nil {
		size = o.Size()
		now := time.Now()
		e.Version = &admin.ExplainedVersion{
			ID: o.Version.ID().String(), ToldBy: toldBy(o.Version.Kind), ETag: plain(o.Version.ETag), LastModified: plain(o.Version.LastModified),
			Size: size, ContentType: plain(o.Header.Get("Content-Type")), Mark: o.Version.Mark, From: from.From, Whole: o.Whole,
		}
		e.Freshness.ValidatedAgo, e.Freshness.FreshFor = max(0, now.Sub(o.ValidatedAt)), o.FreshFor
		e.Freshness.Left, e.Freshness.Why = from.FreshLeft(now), plain(httpcache.Basis(o.Header, rule, path))
		if from.Span.Empty() && size > 0 {
			status := http.StatusServiceUnavailable
			if rule.Profile == storage.ProfileHTTP {
				status = http.StatusRequestedRangeNotSatisfiable
			}
			e.Next = append(e.Next, fmt.Sprintf("No byte of that range is in the object: a client gets %d.", status))
		}
	}
	for _, c := range from.Chunks {
		e.Chunks = append(e.Chunks, chunk(c, size))
	}
}

func chunk(c peer.ChunkExplanation, size int64) admin.ExplainedChunk {
	out := admin.ExplainedChunk{
		Index: c.Index, FirstByte: c.Span.Off, EndByte: c.Span.End, Order: candidates(c.Order), Acting: c.Acting,
	}
	if size >= 0 {
		out.Size = storage.ChunkSpan(size, c.Index).Len()
	}
	for _, h := range c.Holders {
		out.Holders = append(out.Holders, admin.ExplainedHolder{
			Node: h.Node, Bytes: h.Bytes, Coming: h.Coming, Flights: h.Flights, Worth: h.Worth, Known: h.Known,
		})
	}
	for _, s := range c.Steps {
		out.Steps = append(out.Steps, admin.ExplainedStep{Kind: string(s.Kind), By: s.By, From: s.From, Bytes: s.Bytes, Why: s.Why})
	}
	return out
}

func candidates(from []peer.Candidate) []admin.Candidate {
	out := make([]admin.Candidate, len(from))
	for i, c := range from {
		out[i] = admin.Candidate{Node: c.Node, WhyNot: c.Why}
	}
	return out
}

// toldBy says what tells versions of that kind apart.
func toldBy(k storage.ValidatorKind) string {
	switch k {
	case storage.ValidatorETag:
		return "etag"
	case storage.ValidatorLastModified:
		return "last-modified"
	case storage.ValidatorLastModifiedLength:
		return "last-modified and length"
	case storage.ValidatorImmutable:
		return "immutable"
	default:
		return "none"
	}
}

// plain makes of what an origin sent what the admin service can send on.
func plain(s string) string { return strings.ToValidUTF8(s, "?") }
