package origin

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/mccd/mccd/storage"
)

// Request is what Fetch asks for.
type Request struct {
	Ref storage.Ref
	// Rule is that of Ref's host; nil = Config.Lookup's.
	Rule *storage.Rule
	// Span are the object's bytes wanted, sent as one closed range. End =
	// math.MaxInt64 asks to the end; a negative Off with it asks for the last
	// -Off bytes. Whole asks without Range, and Span is not looked at.
	Span  storage.Span
	Whole bool
	// Revalidate makes the request conditional on this version, if not nil.
	Revalidate *storage.Version
	// Unwanted, if not nil, ends the wait for a place among the origin's requests
	// when it is closed; what was sent goes on.
	Unwanted <-chan struct{}
	// Known are the header fields kept with that version; a 304's are merged
	// into them. May be nil.
	Known http.Header
}

// Response is a checked answer. The caller closes Body.
type Response struct {
	// NotModified tells of a 304: Object is the version asked about, with its
	// freshness (and Known) renewed; Body is nil.
	NotModified bool
	// Object describes the answer: ID, Host, Path, Version (Size -1 where the
	// length is unknown), Header, ValidatedAt, FreshFor. It is the caller's.
	Object storage.Object
	// Span are the object's bytes that Body holds; End = -1 where the length
	// is unknown.
	Span storage.Span
	// RangeIgnored tells that a range was asked for and a 200 came: Body is
	// the whole object.
	RangeIgnored bool
	// Cacheable tells that the answer may be stored and served to others.
	Cacheable bool
	// sized returns the version with a length that became known later;
	// marked tells that the body's end is told by more than the connection's.
	sized  func(size int64) storage.Version
	marked bool
	// Body gives exactly Span.Len() bytes and then io.EOF, or else an error
	// that wraps storage.ErrUpstream; where the length is unknown, all bytes
	// up to the answer's own end. Close before the end cancels the request.
	// Read and Close may be called concurrently, Read and Read not.
	Body io.ReadCloser
}

// Fetch asks the origin once and returns its checked answer. It follows
// redirects as far as rules allow. ctx bounds the body too. It may be called
// concurrently. In profile do the length is always known: an answer without one
// is asked for once more in a way that may tell it, or spooled first.
//
// Errors: ErrUnwanted; a *storage.StatusError for an answer other than 200, 206 and 304,
// inside an *UnsatisfiableError for 416; storage.ErrBusy when a bound is
// reached and no place came free within Config.Wait, or will;
// storage.ErrLength where the length cannot be had; ctx's own; all others wrap storage.ErrUpstream. None of
// them holds a query.
func (c *Client) Fetch(ctx context.Context, r Request) (*Response, error) {
	resp, err := c.fetch(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("fetch %s: %w", r.Ref, err)
	}
	return resp, nil
}

func (c *Client) fetch(ctx context.Context, r Request) (*Response, error) {
	if r.Rule == nil {
		rule, err := c.rule(r.Ref)
		if err != nil {
			return nil, err
		}
		r.Rule = rule
	}
	if !r.Whole && r.Span.Empty() {
		return nil, fmt.Errorf("%w: %v", storage.ErrRange, r.Span)
	}
	resp, err := c.fetchOnce(ctx, r)
	if err == nil && resp.lengthless() && r.Rule.Profile == storage.ProfileDO {
		return c.measure(ctx, r, resp)
	}
	return resp, err
}

func (c *Client) fetchOnce(ctx context.Context, r Request) (*Response, error) {
	header := c.header(r)
	x, err := c.exchange(ctx, http.MethodGet, r.Ref, r.Rule, func(storage.Ref) http.Header { return header }, nil, r.Unwanted)
	if err != nil {
		return nil, err
	}
	return c.check(r, x)
}

func (c *Client) rule(ref storage.Ref) (*storage.Rule, error) {
	host, _, err := splitPort(ref)
	if err != nil {
		return nil, err
	}
	rule, ok := c.cfg.Lookup(host)
	if !ok {
		return nil, fmt.Errorf("%w: host is in no rule", ErrRefused)
	}
	return rule, nil
}

// exchange sends one request, and those that its redirects ask for, and
// returns the last answer.
func (c *Client) exchange(ctx context.Context, method string, ref storage.Ref, rule *storage.Rule,
	header func(storage.Ref) http.Header, body io.Reader, unwanted <-chan struct{}) (*exchange, error) {
	var queries []string
	for hop := 0; ; hop++ {
		queries = append(queries, ref.Query)
		x, err := c.ask(ctx, method, ref, rule, header(ref), body, unwanted)
		if err != nil {
			return nil, err
		}
		x.queries = queries
		if !redirects(x.resp.StatusCode) || method != http.MethodGet && method != http.MethodHead || body != nil {
			return x, nil
		}
		location := x.resp.Header.Get("Location")
		x.discard()
		if hop == maxHops {
			return nil, fmt.Errorf("%w: more than %d redirects", ErrLie, maxHops)
		}
		next, nextRule, err := c.follow(ref, rule, location)
		if err != nil {
			return nil, err
		}
		c.cfg.Logger.Debug("follow redirect", slog.String("from", ref.Host), slog.String("to", next.Host))
		ref, rule = next, nextRule
	}
}

// exchange is one answer whose body has not been read.
type exchange struct {
	c    *Client
	rule *storage.Rule
	resp *http.Response
	body *body
	// sent is when the request was sent.
	sent time.Time
	// queries are those of the request and of the redirects that it followed;
	// each may hold a token.
	queries []string
}

// ask sends one request for what is at one host, to it or to what is asked in
// its place, and returns the answer, redirects and errors of the origin
// included. What a parent cache does not give the origin is asked for, where
// that is allowed.
func (c *Client) ask(ctx context.Context, method string, ref storage.Ref, rule *storage.Rule, h http.Header, payload io.Reader, unwanted <-chan struct{}) (*exchange, error) {
	r, err := c.route(ref, rule)
	if err != nil {
		c.metrics.requests.WithLabelValues(rule.Name, result(err)).Inc()
		return nil, err
	}
	x, err := c.send(ctx, method, ref, r, h, payload, unwanted)
	if r.way == storage.WayCache {
		if err = c.heard(ctx, r, x, err); err == nil {
			return x, nil
		}
		if r.only || payload != nil || !passable(ctx, err) {
			return nil, err
		}
		c.metrics.passedOver.WithLabelValues(rule.Name).Inc()
		direct := &route{rule: rule, way: storage.WayDirect}
		return c.send(ctx, method, ref, direct, h, payload, unwanted)
	}
	return x, err
}

// send sends one request and counts how it went.
func (c *Client) send(ctx context.Context, method string, ref storage.Ref, r *route, h http.Header, payload io.Reader, unwanted <-chan struct{}) (*exchange, error) {
	x, err := c.dispatch(ctx, method, ref, r, h, payload, unwanted)
	if err != nil {
		c.metrics.requests.WithLabelValues(r.rule.Name, result(err)).Inc()
	}
	return x, err
}

func (c *Client) dispatch(parent context.Context, method string, ref storage.Ref, r *route, h http.Header, payload io.Reader, unwanted <-chan struct{}) (*exchange, error) {
	rule := r.rule
	if err := checkPort(ref, rule); err != nil {
		return nil, err
	}
	u, err := target(ref, r)
	if err != nil {
		return nil, err
	}
	limit := rule.MaxRequests
	if limit <= 0 {
		limit = c.cfg.MaxRequests
	}
	places := c.bound
	if parent.Value(passKey{}) != nil {
		places = c.passing
	}
	leave, err := places.acquire(parent, ref.Host, limit, c.cfg.Wait, unwanted)
	if err != nil {
		return nil, err
	}
	gauge := c.metrics.inFlight.WithLabelValues(rule.Name)
	gauge.Inc()
	ctx, cancel := context.WithCancelCause(context.WithValue(parent, routeKey{}, r))
	unhook := context.AfterFunc(c.ctx, func() { cancel(errClosed) })
	release := func(err error) {
		unhook()
		cancel(err)
		gauge.Dec()
		leave()
	}
	req := &http.Request{Method: method, URL: u, Host: ref.Host, Header: h, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
	if r.way == storage.WayCache {
		req.Host, req.Header = withoutPort(r.host, ref.Scheme), c.toCache(h, ref)
	}
	once(req, payload)
	sent := c.cfg.Now()
	resp, err := c.patiently(ctx, cancel, r, req) //nolint:bodyclose // the body below closes it
	if err != nil {
		release(err)
		return nil, err
	}
	b := &body{ctx: ctx, cancel: cancel, from: resp.Body, stall: c.cfg.Stall, left: -1,
		received: c.metrics.bytes.WithLabelValues(rule.Name)}
	b.release = func(err error) {
		release(err)
		c.metrics.requests.WithLabelValues(rule.Name, result(err)).Inc()
		if r.way == storage.WayCache {
			c.bodyEnded(r, err)
		}
	}
	return &exchange{c: c, rule: rule, resp: resp, body: b, sent: sent}, nil
}

// patiently sends req and waits for the head of its answer: for a parent cache
// that may be passed over half as long as for an origin, so that there is time
// for that one.
func (c *Client) patiently(ctx context.Context, cancel context.CancelCauseFunc, r *route, req *http.Request) (*http.Response, error) {
	if r.way == storage.WayCache && !r.only {
		t := time.AfterFunc(c.cfg.FirstByte/2, func() { cancel(ErrStall) })
		defer t.Stop()
	}
	resp, err := c.roundTrip(ctx, r.way, req)
	if err == nil && r.way == storage.WayProxy && resp.StatusCode == http.StatusProxyAuthRequired {
		_ = resp.Body.Close()
		return nil, errProxyCredentials
	}
	return resp, err
}

// How much of an unwanted body is read, and for how long, so that its
// connection can be kept.
const (
	discardMost = 16 << 10
	discardFor  = 500 * time.Millisecond
)

// discard ends an answer whose body nobody wants.
func (x *exchange) discard() {
	if n := x.resp.ContentLength; n >= 0 && n <= discardMost || x.resp.Body == http.NoBody {
		t := time.AfterFunc(discardFor, func() { x.body.cancel(errBodyClosed) })
		_, _ = io.Copy(io.Discard, x.body) // what it says is not wanted either
		t.Stop()
	}
	_ = x.body.Close()
}
