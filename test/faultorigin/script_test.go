package faultorigin_test

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mccd/mccd/test/faultorigin"
)

const size = 300_000

func TestBehaviours(t *testing.T) {
	tests := []struct {
		name  string
		b     faultorigin.Behaviour
		rng   string
		check func(t *testing.T, resp *http.Response, body []byte, err error)
		// sent is what the ledger must say, -1 = do not care.
		sent int64
	}{
		{"status", faultorigin.Behaviour{Status: 503}, "", status(503), 0},
		{"redirect", faultorigin.Behaviour{Location: "http://x/y"}, "", status(302), 0},
		{"permanent redirect", faultorigin.Behaviour{Location: "http://x/y", Status: 308}, "", status(308), 0},
		{"token", faultorigin.Behaviour{Token: "sig=1"}, "", status(403), 0},
		{"drop", faultorigin.Behaviour{Drop: true}, "", fails(0), 0},
		{"short", faultorigin.Behaviour{Break: faultorigin.Short, After: 100_001}, "", fails(100_001), 100_001},
		{"reset", faultorigin.Behaviour{Break: faultorigin.Reset, After: 1000}, "", fails(-1), 1000},
		{"ignore range", faultorigin.Behaviour{IgnoreRange: true}, "bytes=1-2", status(200), size},
		{"wrong content-range", faultorigin.Behaviour{ContentRange: "bytes 7-8/9"}, "bytes=1-2",
			header(206, "Content-Range", "bytes 7-8/9"), 2},
		{"no content-range", faultorigin.Behaviour{ContentRange: "-"}, "bytes=1-2", header(206, "Content-Range", ""), 2},
		{"multipart", faultorigin.Behaviour{Multipart: true}, "bytes=1-2",
			header(206, "Content-Type", "multipart/byteranges; boundary=faultorigin"), 2},
		{"declares more", faultorigin.Behaviour{LengthDelta: 5}, "", fails(size), size},
		{"declares less", faultorigin.Behaviour{LengthDelta: -5}, "", length(size - 5), size},
		{"extra", faultorigin.Behaviour{Extra: 9}, "", length(size), size},
		{"chunked", faultorigin.Behaviour{Chunked: true}, "", length(-1), size},
		{"until close", faultorigin.Behaviour{UntilClose: true}, "", length(-1), size},
		{"no validators", faultorigin.Behaviour{NoValidators: true}, "", header(200, "ETag", ""), size},
		{"weak ETag", faultorigin.Behaviour{WeakETag: true}, "", header(200, "ETag", "W/"+faultorigin.ETag("/a", "1")), size},
		{"header", faultorigin.Behaviour{Header: http.Header{"Cache-Control": {"no-store"}}}, "",
			header(200, "Cache-Control", "no-store"), size},
		{"version", faultorigin.Behaviour{Version: "9"}, "", header(200, "ETag", faultorigin.ETag("/a", "9")), size},
		{"version in mid-body", faultorigin.Behaviour{MidVersion: "2", MidAfter: 1001}, "", changes(1001), size},
		{"gzip", faultorigin.Behaviour{Gzip: true}, "bytes=0-1", zipped, -1},
		{"other requests", faultorigin.Behaviour{Requests: []int{2}, Status: 500}, "", status(200), size},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, faultorigin.Config{Objects: []faultorigin.Object{{Path: "/a", Size: size}}})
			s.Script("/a", tt.b)
			var rng []string
			if tt.rng != "" {
				rng = []string{"Range", tt.rng}
			}
			resp, body, err := get(t, s, "/a?P1=x", rng...)
			tt.check(t, resp, body, err)
			if err := s.Ledger().WaitDone(t.Context(), "/a", 1); err != nil {
				t.Fatal(err)
			}
			if got := s.Ledger().Bytes("/a"); tt.sent >= 0 && got != tt.sent {
				t.Errorf("ledger has %d bytes, want %d", got, tt.sent)
			}
		})
	}
}

type checker = func(t *testing.T, resp *http.Response, body []byte, err error)

func status(code int) checker { return header(code, "No-Such-Field", "") }

func header(code int, name, value string) checker {
	return func(t *testing.T, resp *http.Response, _ []byte, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != code || resp.Header.Get(name) != value {
			t.Errorf("got %d %s=%q, want %d %q", resp.StatusCode, name, resp.Header.Get(name), code, value)
		}
	}
}

func fails(n int) checker {
	return func(t *testing.T, _ *http.Response, body []byte, err error) {
		t.Helper()
		if err == nil || n >= 0 && len(body) != n || faultorigin.Check(body, "/a", "1", 0) >= 0 {
			t.Errorf("%d bytes, error %v; want %d right bytes and an error", len(body), err, n)
		}
	}
}

func length(n int64) checker {
	return func(t *testing.T, resp *http.Response, body []byte, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if want := min(uint64(n), size); resp.ContentLength != n || uint64(len(body)) != want {
			t.Errorf("length %d, body %d bytes; want %d and %d", resp.ContentLength, len(body), n, want)
		}
	}
}

func changes(at int) checker {
	return func(t *testing.T, _ *http.Response, body []byte, err error) {
		t.Helper()
		if err != nil || faultorigin.Check(body[:at], "/a", "1", 0) >= 0 || faultorigin.Check(body[at:], "/a", "2", int64(at)) >= 0 {
			t.Errorf("no change of version at %d, error %v", at, err)
		}
	}
}

func zipped(t *testing.T, resp *http.Response, body []byte, err error) {
	t.Helper()
	if err != nil || resp.StatusCode != 200 || resp.Header.Get("Content-Encoding") != "gzip" {
		t.Fatalf("%v, %v", resp, err)
	}
	z, err := gzip.NewReader(strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(z)
	if err != nil || len(plain) != size || faultorigin.Check(plain, "/a", "1", 0) >= 0 {
		t.Errorf("%d bytes unzipped, %v", len(plain), err)
	}
}

func TestGatesHoldUntilOpened(t *testing.T) {
	var mu sync.Mutex
	var events []faultorigin.EventKind
	s := start(t, faultorigin.Config{
		Objects: []faultorigin.Object{{Path: "/a", Size: size}},
		Observe: func(e faultorigin.Event) {
			mu.Lock()
			defer mu.Unlock()
			events = append(events, e.Kind)
		},
	})
	head, body := faultorigin.NewGate(), faultorigin.NewGate()
	s.Script("/a", faultorigin.Behaviour{Gate: head, BodyGate: body, HoldAfter: 70_000})
	done := make(chan error, 1)
	go func() {
		_, got, err := get(t, s, "/a")
		if err == nil && faultorigin.Check(got, "/a", "1", 0) >= 0 {
			err = errors.New("wrong bytes")
		}
		done <- err
	}()
	l := s.Ledger()
	if err := l.WaitRequests(t.Context(), "/a", 1); err != nil {
		t.Fatal(err)
	}
	if n := l.Bytes("/a"); n != 0 {
		t.Errorf("%d bytes sent before the gate was opened", n)
	}
	head.Open()
	if err := l.WaitBytes(t.Context(), "/a", 70_000); err != nil {
		t.Fatal(err)
	}
	if n := l.Bytes("/a"); n != 70_000 {
		t.Errorf("%d bytes sent at the body's gate, want 70000", n)
	}
	body.Open()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if err := l.WaitDone(t.Context(), "/a", 1); err != nil {
		t.Fatal(err)
	}
	s.Close()
	mu.Lock()
	defer mu.Unlock()
	want := []faultorigin.EventKind{faultorigin.Began, faultorigin.FirstByte, faultorigin.Finished}
	if len(events) != 3 || events[0] != want[0] || events[1] != want[1] || events[2] != want[2] {
		t.Errorf("events %v, want %v", events, want)
	}
}

func TestStallEndsWithTheServer(t *testing.T) {
	s := start(t, faultorigin.Config{Objects: []faultorigin.Object{{Path: "/a", Size: size}}})
	s.Script(faultorigin.AnyPath, faultorigin.Behaviour{Break: faultorigin.Stall, After: 10})
	done := make(chan error, 1)
	go func() {
		_, _, err := get(t, s, "/a")
		done <- err
	}()
	if err := s.Ledger().WaitBytes(t.Context(), "/a", 10); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if err := <-done; err == nil {
		t.Error("a stalled body ended well")
	}
}

// TestNoStallBehindTheBody: a connection on which a whole answer was sent serves
// the next request, by whichever way its end is told.
func TestNoStallBehindTheBody(t *testing.T) {
	s := start(t, faultorigin.Config{Objects: []faultorigin.Object{{Path: "/a", Size: 10}}})
	tr := &http.Transport{MaxConnsPerHost: 1}
	defer tr.CloseIdleConnections()
	for i, b := range []faultorigin.Behaviour{
		{Break: faultorigin.Stall, After: 10}, {Break: faultorigin.Stall, After: 1000}, {Break: faultorigin.Stall, After: 10, LengthDelta: -1},
	} {
		s.Script("/a", b)
		for range 2 {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL()+"/a", nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := tr.RoundTrip(req)
			if err != nil {
				t.Fatalf("%d: %v", i, err)
			}
			if body, err := io.ReadAll(resp.Body); err != nil || int64(len(body)) != 10+b.LengthDelta {
				t.Errorf("%d: %d bytes, %v", i, len(body), err)
			}
			_ = resp.Body.Close()
			cancel()
			if b.LengthDelta < 0 {
				tr.CloseIdleConnections() // a byte is left over that is no head of an answer
			}
		}
	}
	s.Script("/a", faultorigin.Behaviour{Break: faultorigin.Stall, After: 10, LengthDelta: 1})
	done := make(chan error, 1)
	go func() {
		_, _, err := get(t, s, "/a")
		done <- err
	}()
	if err := s.Ledger().WaitBytes(t.Context(), "/a", 10); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if err := <-done; err == nil {
		t.Error("a body that lacks a byte did not stall")
	}
}

func TestWaitEndsWithContext(t *testing.T) {
	s := start(t, faultorigin.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Ledger().WaitRequests(ctx, "/a", 1); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
