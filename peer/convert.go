package peer

import (
	"errors"
	"net/http"
	"time"

	peerv1 "github.com/mccd/mccd/proto/mccd/peer/v1"
	"github.com/mccd/mccd/storage"
)

var errBadMessage = errors.New("malformed message from a peer")

func refToProto(r storage.Ref) *peerv1.Ref {
	return &peerv1.Ref{Scheme: r.Scheme, Host: r.Host, Path: []byte(r.Path), Query: []byte(r.Query), Caches: r.Caches}
}

func versionToProto(v storage.Version) *peerv1.Version {
	return &peerv1.Version{
		Kind: uint32(v.Kind), Etag: v.ETag, LastModified: v.LastModified,
		Size: v.Size, Nonce: v.Nonce, Variant: v.Variant, Mark: v.Mark,
	}
}

func versionFromProto(v *peerv1.Version) (storage.Version, error) {
	if v == nil || v.GetKind() > uint32(storage.ValidatorImmutable) || v.GetSize() < 0 || v.GetSize() > maxOffset || !isMark(v.GetMark()) {
		return storage.Version{}, errBadMessage
	}
	return storage.Version{
		Kind: storage.ValidatorKind(v.GetKind()), ETag: v.GetEtag(), LastModified: v.GetLastModified(),
		Size: v.GetSize(), Nonce: v.GetNonce(), Variant: v.GetVariant(), Mark: v.GetMark(),
	}, nil
}

// isMark reports whether s names a purge mark, or none.
func isMark(s string) bool {
	if len(s) != 0 && len(s) != 16 {
		return false
	}
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func headersToProto(h http.Header) []*peerv1.Header {
	out := make([]*peerv1.Header, 0, len(h))
	for name, values := range h {
		out = append(out, &peerv1.Header{Name: name, Values: values})
	}
	return out
}

func headersFromProto(in []*peerv1.Header) http.Header {
	h := make(http.Header, len(in))
	for _, f := range in {
		h[http.CanonicalHeaderKey(f.GetName())] = f.GetValues()
	}
	return h
}

// recordToProto tells o's age as a duration, so that clocks need not agree.
func recordToProto(o *storage.Object, now time.Time) *peerv1.Record {
	if o == nil {
		return nil
	}
	return &peerv1.Record{
		Version: versionToProto(o.Version), Headers: headersToProto(o.Header),
		AgeNanos: int64(max(0, now.Sub(o.ValidatedAt))), FreshNanos: int64(o.FreshFor),
		Whole: o.Whole, Registration: o.Registration,
		PurgeIndex: o.Stamp.Index, PurgeCluster: o.Stamp.Cluster, PurgeGeneration: o.Stamp.Generation,
		Past: pastToProto(o.Past, now),
	}
}

func pastToProto(past []storage.Past, now time.Time) []*peerv1.Past {
	var out []*peerv1.Past
	for _, p := range past {
		out = append(out, &peerv1.Past{Version: versionToProto(p.Version), AgeNanos: int64(max(0, now.Sub(p.Until))), Whole: p.Whole})
	}
	return out
}

// maxPast bounds the earlier versions that a peer may tell of.
const maxPast = 256

func pastFromProto(in []*peerv1.Past, now time.Time) ([]storage.Past, error) {
	if len(in) > maxPast {
		return nil, errBadMessage
	}
	var out []storage.Past
	for _, p := range in {
		v, err := versionFromProto(p.GetVersion())
		if err != nil || p.GetAgeNanos() < 0 {
			return nil, errBadMessage
		}
		out = append(out, storage.Past{Version: v, Until: now.Add(-time.Duration(p.GetAgeNanos())), Whole: p.GetWhole()})
	}
	return out, nil
}

// bare returns o without its earlier versions, for calls that concern its bytes.
func bare(o *storage.Object) *storage.Object {
	if o == nil || len(o.Past) == 0 {
		return o
	}
	b := *o
	b.Past = nil
	return &b
}

func recordFromProto(ref storage.Ref, r *peerv1.Record, now time.Time) (*storage.Object, error) {
	v, err := versionFromProto(r.GetVersion())
	if err != nil || r.GetAgeNanos() < 0 || r.GetFreshNanos() < 0 {
		return nil, errBadMessage
	}
	past, err := pastFromProto(r.GetPast(), now)
	if err != nil {
		return nil, err
	}
	return &storage.Object{
		ID: ref.ID(), Host: ref.Host, Path: ref.Path, Version: v, Header: headersFromProto(r.GetHeaders()),
		ValidatedAt: now.Add(-time.Duration(r.GetAgeNanos())), FreshFor: time.Duration(r.GetFreshNanos()),
		Whole: r.GetWhole(), Registration: r.GetRegistration(), Past: past,
		Stamp: storage.Stamp{Cluster: r.GetPurgeCluster(), Generation: r.GetPurgeGeneration(), Index: r.GetPurgeIndex()},
	}, nil
}
