package origin

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"strings"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/httpcache"
)

// maxSize is the length of the longest object: its chunks are numbered by 32
// bits (storage.ChunkOf). It is 32 PiB; who claims more lies.
const maxSize = storage.ChunkSize << 32

// check turns an answer into a Response, or into the error that it is.
func (c *Client) check(r Request, x *exchange) (*Response, error) {
	resp, err := x.response(r)
	if err == nil && !resp.NotModified {
		return resp, nil
	}
	if err != nil {
		x.body.refuse(err)
	}
	x.discard()
	return resp, err
}

func (x *exchange) response(r Request) (*Response, error) {
	switch x.resp.StatusCode {
	case http.StatusOK:
		return x.whole(r)
	case http.StatusPartialContent:
		return x.partial(r)
	case http.StatusNotModified:
		return x.notModified(r)
	}
	status := &storage.StatusError{Code: x.resp.StatusCode, Header: withoutTokens(httpcache.Kept(x.resp.Header), x.queries)}
	if status.Code != http.StatusRequestedRangeNotSatisfiable {
		return nil, status
	}
	span, total, err := httpcache.ParseContentRange(x.resp.Header.Get("Content-Range"))
	if err != nil || !span.Empty() || total > maxSize {
		total = -1
	}
	return nil, &UnsatisfiableError{Total: total, status: status}
}

// whole checks a 200.
func (x *exchange) whole(r Request) (*Response, error) {
	if len(x.resp.Header["Content-Range"]) > 0 {
		return nil, fmt.Errorf("%w: 200 with a Content-Range", ErrLie)
	}
	size := x.resp.ContentLength
	return x.content(r, storage.Span{Off: 0, End: size}, size)
}

// partial checks a 206 against the range that was asked for (RFC 9110 section
// 15.3.7).
func (x *exchange) partial(r Request) (*Response, error) {
	lines := x.resp.Header["Content-Range"]
	switch {
	case r.Whole:
		return nil, fmt.Errorf("%w: 206 to a request without Range", ErrLie)
	case len(lines) == 0 && strings.HasPrefix(strings.ToLower(x.resp.Header.Get("Content-Type")), "multipart/"):
		return nil, fmt.Errorf("%w: multipart answer to a single range", ErrLie)
	case len(lines) != 1:
		return nil, fmt.Errorf("%w: 206 with %d Content-Range fields", ErrLie, len(lines))
	}
	span, total, err := httpcache.ParseContentRange(lines[0])
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLie, err)
	}
	if !answers(r.Span, span, total) {
		return nil, fmt.Errorf("%w: asked for %v, got %v of %d bytes", ErrLie, r.Span, span, total)
	}
	if n := x.resp.ContentLength; n >= 0 && n != span.Len() {
		return nil, fmt.Errorf("%w: Content-Length %d for %d bytes of Content-Range", ErrLie, n, span.Len())
	}
	return x.content(r, span, total)
}

// answers reports whether got, of an object of total bytes (-1 = unknown), is
// all that exists of asked.
func answers(asked, got storage.Span, total int64) bool {
	switch {
	case got.Empty():
		return false
	case asked.Off < 0:
		return total >= 0 && got.End == total && got.Off == max(0, total+asked.Off)
	case got.Off != asked.Off || got.End > asked.End:
		return false
	case got.End == asked.End || got.End == total:
		return true
	default:
		return asked.End == math.MaxInt64 && total < 0
	}
}

// content makes the Response for a body of span, of an object of size bytes.
func (x *exchange) content(r Request, span storage.Span, size int64) (*Response, error) {
	if max(size, span.End) > maxSize {
		return nil, fmt.Errorf("%w: an object of %d bytes", ErrLie, max(size, span.End))
	}
	h := x.resp.Header
	if coding := h.Get("Content-Encoding"); r.Rule.Profile != storage.ProfileHTTP && coding != "" && !strings.EqualFold(coding, "identity") {
		return nil, fmt.Errorf("%w: Content-Encoding %.20q where identity was asked for", ErrLie, coding)
	}
	date := httpcache.Date(h, x.sent)
	sized := func(size int64) storage.Version {
		version := httpcache.Validator(h, date, size, r.Rule, r.Ref.Path, 0)
		if version.Kind == storage.ValidatorNone {
			version.Nonce = rand.Uint64() | 1
		}
		return version
	}
	x.body.left = -1
	if span.End >= 0 {
		x.body.left = span.Len()
	}
	return &Response{
		Object:       x.object(r, sized(size), httpcache.Kept(h), h),
		sized:        sized,
		marked:       x.body.left >= 0 || len(x.resp.TransferEncoding) > 0,
		Span:         span,
		RangeIgnored: !r.Whole && x.resp.StatusCode == http.StatusOK,
		Cacheable:    x.cacheable(r.Rule),
		Body:         x.body,
	}, nil
}

func (x *exchange) object(r Request, v storage.Version, kept, h http.Header) storage.Object {
	return storage.Object{
		ID: r.Ref.ID(), Host: r.Ref.Host, Path: r.Ref.Path, Version: v, Header: withoutTokens(kept, x.queries),
		ValidatedAt: x.sent, FreshFor: httpcache.FreshFor(h, x.sent, r.Rule, r.Ref.Path),
	}
}

// cacheable reports whether the answer may be stored. A body whose end only
// the connection's tells may be cut short unseen, so it is not stored; nor is
// one that a client's own fields may select, since fetches never send them: they
// ask for identity, so what varies by Accept-Encoding alone and came uncoded
// fits every client.
func (x *exchange) cacheable(rule *storage.Rule) bool {
	if x.body.left < 0 && len(x.resp.TransferEncoding) == 0 {
		return false
	}
	if rule.Profile == storage.ProfileHTTP {
		coded := x.resp.Header.Get("Content-Encoding") != ""
		fields, _ := httpcache.Vary(x.resp.Header)
		for _, f := range fields {
			if f != "accept-encoding" || coded {
				return false
			}
		}
	}
	return httpcache.Storable(x.resp.StatusCode, x.resp.Header)
}

// notModified checks a 304 (RFC 9111 section 4.3.4).
func (x *exchange) notModified(r Request) (*Response, error) {
	if r.Revalidate == nil {
		return nil, fmt.Errorf("%w: 304 to a request without a condition", ErrLie)
	}
	h := x.resp.Header
	if !confirms(h, r.Revalidate) {
		return nil, ErrMismatch
	}
	kept := httpcache.Update(r.Known, h)
	// Freshness follows from the stored fields with the new ones in their
	// place, and from the time and age of this answer alone.
	all := kept.Clone()
	for _, name := range []string{"Date", "Age"} {
		if lines, ok := h[name]; ok {
			all[name] = lines
		}
	}
	return &Response{NotModified: true, Object: x.object(r, *r.Revalidate, kept, all), Cacheable: httpcache.Storable(http.StatusOK, all)}, nil
}

// confirms reports whether a 304 with header h can be about v: it names no
// other validator of the kind by which v is told.
func confirms(h http.Header, v *storage.Version) bool {
	etag, modified := h.Get("ETag"), h.Get("Last-Modified")
	switch v.Kind {
	case storage.ValidatorLastModified, storage.ValidatorLastModifiedLength:
		return modified == "" || modified == v.LastModified
	case storage.ValidatorImmutable:
		return true
	default:
		return etag == "" || v.ETag == "" || httpcache.WeakEqual(etag, v.ETag)
	}
}
