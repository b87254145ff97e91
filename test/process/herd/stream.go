package herd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/process"
)

const readBuffer = 64 << 10

// stream is one connection of a client at a time, one request after another.
type stream struct {
	client    *Client
	object    *Object // the one read now
	transport *http.Transport
	buf       []byte
	node      int       // index in client.Nodes
	last      time.Time // when the last byte came, or the first was asked for
	next      time.Time // when the pace allows the next read
	result    Result
}

// want is one span of one object.
type want struct {
	object *Object
	span   storage.Span
}

func newStream(c *Client) *stream {
	return &stream{
		client: c, transport: newTransport(c.Rate > 0), buf: make([]byte, readBuffer),
		result: Result{Sources: map[string]int{}, ByNode: map[string]int64{}},
	}
}

func (s *stream) close() { s.transport.CloseIdleConnections() }

// read takes what is wanted until there is no more. When ctx ends, the rest
// counts as unread.
func (s *stream) read(ctx context.Context, wants <-chan want) {
	s.last = time.Now()
	s.result.Begun = s.last
	for w := range wants {
		if w.object != s.object {
			s.object = w.object
			if s.client.Probe && w.span.Len() > 2 && w.span != w.object.Span() {
				s.span(ctx, storage.Span{End: 2}, anything{})
			}
		}
		check := s.object.Check(w.span)
		if !s.span(ctx, w.span, check) {
			s.result.Unread = append(s.result.Unread, w.span)
		} else if !check.Right() {
			s.result.Wrong = append(s.result.Wrong, w.span)
		}
	}
	s.result.End = time.Now()
}

// anything takes the two bytes of a probe, which have no digest of their own.
type anything struct{}

func (anything) Write(p []byte) (int, error) { return len(p), nil }
func (anything) Right() bool                 { return true }

// span reads one span, going on at the next node, from where it is, after a
// failure. It reports whether all bytes came.
func (s *stream) span(ctx context.Context, span storage.Span, check Check) bool {
	tries := s.client.Tries
	if tries == 0 {
		tries = 8
	}
	for failed := 0; failed < tries && ctx.Err() == nil; {
		addr := s.client.Nodes[s.node%len(s.client.Nodes)]
		began := time.Now()
		n, err := s.request(ctx, addr, span, check)
		span.Off += n
		if err == nil {
			return true
		}
		if ctx.Err() != nil {
			break
		}
		s.result.Failures = append(s.result.Failures, Failure{Addr: addr, Span: span, Began: began, At: time.Now(), Err: err})
		s.node++
		failed++
		if n > 0 {
			failed = 1
		}
	}
	return false
}

// request asks addr once for span and feeds its bytes to check. It returns
// how many came.
func (s *stream) request(ctx context.Context, addr string, span storage.Span, check Check) (int64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, process.URL(addr, s.object.Path, s.object.Host), nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("User-Agent", agent)
	want := http.StatusOK
	if span != s.object.Span() {
		want = http.StatusPartialContent
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", span.Off, span.End-1))
	}
	s.result.Requests++
	resp, err := s.transport.RoundTrip(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	if err := s.inspect(resp, want, span); err != nil {
		return 0, err
	}
	s.result.Sources[sourceOf(resp.Header.Get("Cache-Status"))]++
	return s.body(ctx, addr, resp.Body, span.Len(), check)
}

// inspect refuses an answer that a client would take for something else.
func (s *stream) inspect(resp *http.Response, want int, span storage.Span) error {
	switch {
	case resp.StatusCode != want:
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 200))
		return fmt.Errorf("%s, not %d: %q", resp.Status, want, text)
	case resp.ContentLength != span.Len():
		return fmt.Errorf("Content-Length %d for %s", resp.ContentLength, span)
	case want == http.StatusPartialContent:
		expect := fmt.Sprintf("bytes %d-%d/%d", span.Off, span.End-1, s.object.Size)
		if got := resp.Header.Get("Content-Range"); got != expect {
			return fmt.Errorf("Content-Range %q, not %q", got, expect)
		}
	}
	return nil
}

func (s *stream) body(ctx context.Context, addr string, body io.Reader, length int64, check Check) (int64, error) {
	var got int64
	for {
		if err := s.pace(ctx); err != nil {
			return got, err
		}
		n, err := body.Read(s.buf)
		if n > 0 {
			got += int64(n)
			s.arrived(addr, n)
			_, _ = check.Write(s.buf[:n])
		}
		switch {
		case errors.Is(err, io.EOF) && got == length:
			return got, nil
		case errors.Is(err, io.EOF):
			return got, fmt.Errorf("ended after %d of %d bytes", got, length)
		case err != nil:
			return got, fmt.Errorf("after %d of %d bytes: %w", got, length, err)
		}
	}
}

// arrived counts n bytes that came just now.
func (s *stream) arrived(addr string, n int) {
	now := time.Now()
	if s.result.First.IsZero() {
		s.result.First = now
	}
	if gap := now.Sub(s.last); gap > s.result.Gap {
		s.result.Gap, s.result.GapAt = gap, now
	}
	s.last = now
	s.result.Bytes += int64(n)
	s.result.ByNode[addr] += int64(n)
	if s.client.Rate > 0 {
		if s.next.Before(now) {
			s.next = now // what was missed is not made up for by a burst
		}
		s.next = s.next.Add(time.Duration(n) * time.Second / time.Duration(s.client.Rate))
	}
	if s.client.Arrived != nil {
		s.client.Arrived(addr, n)
	}
}

// pace waits until the next read is due.
func (s *stream) pace(ctx context.Context) error {
	wait := time.Until(s.next)
	if s.client.Rate == 0 || wait <= 0 {
		return nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// sourceOf reads "hit", "peer" or "miss" out of Cache-Status (RFC 9211).
func sourceOf(status string) string {
	switch {
	case strings.Contains(status, "hit"):
		return "hit"
	case strings.Contains(status, "peer"):
		return "peer"
	case strings.Contains(status, "fwd"):
		return "miss"
	default:
		return "unknown"
	}
}
