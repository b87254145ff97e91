package origin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"sync/atomic"

	"github.com/mccd/mccd/storage"
)

// http.Transport sends a request a second time, without a word, when a kept
// connection ends before the first byte of an answer, as long as it takes the
// request for replayable. A body without GetBody makes it not so. The
// Transport reads the body's first byte before it writes the head, finds its
// end, and sends neither a length nor chunks.
type unreplayable struct{}

// Read implements io.Reader.
func (unreplayable) Read([]byte) (int, error) { return 0, io.EOF }

// Close implements io.Closer.
func (unreplayable) Close() error { return nil }

// once gives req the payload, if any, in a form that is sent at most once. Its
// length is that of the Content-Length in req's header, which net/http writes
// itself; -1 (chunks) without.
func once(req *http.Request, payload io.Reader) {
	length := req.Header.Get("Content-Length")
	req.Header.Del("Content-Length")
	if payload == nil {
		req.Body = unreplayable{}
		return
	}
	req.Body, req.ContentLength = io.NopCloser(payload), -1
	if n, err := strconv.ParseInt(length, 10, 64); err == nil && n >= 0 {
		req.ContentLength = n
	}
}

// attempts bounds how many kept connections may turn out to be closed before
// a byte of the request was written to them.
const attempts = 3

// attempt is what is known of the connection under one RoundTrip.
type attempt struct {
	conn     *conn
	reused   bool
	before   int64
	answered atomic.Bool
}

// unsent reports whether no byte of the request was written: then to send it
// is still its first try.
func (a *attempt) unsent() bool {
	return a.conn != nil && a.reused && a.conn.written.Load() == a.before
}

// roundTrip sends req once and returns its answer or an error of this package.
func (c *Client) roundTrip(ctx context.Context, way storage.Way, req *http.Request) (*http.Response, error) {
	for n := 1; ; n++ {
		a := new(attempt)
		resp, err := c.transports[way].RoundTrip(req.WithContext(httptrace.WithClientTrace(ctx, a.trace())))
		if err == nil {
			return resp, nil
		}
		if _, empty := req.Body.(unreplayable); empty && a.unsent() && n < attempts && ctx.Err() == nil {
			continue
		}
		return nil, a.failure(ctx, err)
	}
}

func (a *attempt) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			raw := info.Conn
			if t, ok := raw.(interface{ NetConn() net.Conn }); ok {
				raw = t.NetConn()
			}
			if raw, ok := raw.(*conn); ok {
				a.conn, a.reused, a.before = raw, info.Reused, raw.written.Load()
			}
		},
		GotFirstResponseByte: func() { a.answered.Store(true) },
	}
}

// failure says in this package's words why there is no answer.
func (a *attempt) failure(ctx context.Context, err error) error {
	var timeout net.Error
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, ErrRefused):
		return err
	case a.conn == nil:
		return fmt.Errorf("%w: %w", ErrConnect, err)
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("%w: no head of an answer", ErrStall)
	case a.reused && !a.answered.Load():
		return fmt.Errorf("%w: %w", ErrNoAnswer, err)
	default:
		return fmt.Errorf("%w: %w", ErrBroken, err)
	}
}
