package gateway

import (
	"io"
	"net/http"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mccd/mccd/storage"
)

// endless is a body of left bytes that are made as they are read.
type endless struct {
	left int64
	read atomic.Int64
	stop chan struct{}
}

func (e *endless) Read(p []byte) (int, error) {
	select {
	case <-e.stop:
		return 0, io.ErrClosedPipe
	default:
	}
	n := int(min(int64(len(p)), e.left-e.read.Load()))
	if n == 0 {
		return 0, io.EOF
	}
	for i := range p[:n] {
		p[i] = byte(i)
	}
	e.read.Add(int64(n))
	return n, nil
}

func (e *endless) Close() error { return nil }

// A long answer that is passed on is never read further than the client takes
// it, but for what buffers hold, and never held in memory.
func TestPassedBodyWaitsForItsClient(t *testing.T) {
	const length, taken, buffered = 2 << 30, 64 << 20, 24 << 20
	for name, declared := range map[string]int64{"known length": length, "unknown length": -1} {
		t.Run(name, func(t *testing.T) {
			n := startNode(t, 10, nil)
			body := &endless{left: length, stop: make(chan struct{})}
			n.source.errs = []error{storage.ErrUncacheable}
			n.source.pass = func(string, storage.Ref, http.Header) (*http.Response, error) {
				return &http.Response{StatusCode: 200, ContentLength: declared, Header: http.Header{}, Body: body}, nil
			}
			c := dial(t, n)
			if err := tcp(c).SetReadBuffer(1 << 20); err != nil { // the system's own may hold more than what is judged
				t.Fatal(err)
			}
			ask(t, c, request("GET", httpHost, "/a"))
			resp, err := http.ReadResponse(newReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			if _, err := io.CopyN(io.Discard, resp.Body, taken); err != nil {
				t.Fatal(err)
			}
			for last := int64(-1); last != body.read.Load(); { // until it stands still
				last = body.read.Load()
				select {
				case <-time.After(50 * time.Millisecond):
				case <-t.Context().Done():
				}
			}
			runtime.ReadMemStats(&after)
			if got := body.read.Load(); got < taken || got > taken+buffered {
				t.Errorf("%d bytes were read from the origin for a client that took %d", got, taken)
			}
			if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 16<<20 {
				t.Errorf("%d bytes of heap for one passed answer", grown)
			}
			close(body.stop)
			c.Close()
		})
	}
}

// The head of an answer of unknown length goes out before its first byte comes.
func TestPassedHeadGoesOutAtOnce(t *testing.T) {
	n := startNode(t, 10, nil)
	body := &blocked{first: &endless{}, closed: make(chan struct{})}
	n.source.errs = []error{storage.ErrUncacheable}
	n.source.pass = func(string, storage.Ref, http.Header) (*http.Response, error) {
		return &http.Response{StatusCode: 200, ContentLength: -1, Header: http.Header{"X-Early": {"1"}}, Body: body}, nil
	}
	c := dial(t, n)
	ask(t, c, request("GET", httpHost, "/a"))
	resp, err := http.ReadResponse(newReader(c), nil)
	close(body.closed)
	if err != nil || resp.Header.Get("X-Early") != "1" {
		t.Fatalf("%v, %v", resp, err)
	}
	resp.Body.Close()
}

// What could not be stored is passed on for a while without a fill before it,
// until an answer can be stored.
func TestWhatIsPassedIsRemembered(t *testing.T) {
	n := startNode(t, 10, nil)
	var good atomic.Bool
	n.source.pass = func(method string, ref storage.Ref, h http.Header) (*http.Response, error) {
		header := http.Header{"Cache-Control": {"no-store"}}
		if good.Load() {
			header = nil
		}
		return passed(200, 5, "hello", header)(method, ref, h)
	}
	n.source.errs = []error{storage.ErrUncacheable}
	asked := func() int { n.source.mu.Lock(); defer n.source.mu.Unlock(); return len(n.source.opens) }
	for range 3 {
		if a := n.get(t, httpHost, "/a?q"); string(a.body) != "hello" {
			t.Fatalf("%d %q", a.status, a.body)
		}
	}
	if got := asked(); got != 1 {
		t.Errorf("the fill was asked %d times for what cannot be stored", got)
	}
	good.Store(true)
	n.get(t, httpHost, "/a?q")
	if a := n.get(t, httpHost, "/a?q"); string(a.body) == "hello" || asked() != 2 {
		t.Errorf("an object that can be stored by now is still passed on: %q, %d fills", a.body, asked())
	}
	n.get(t, httpHost, "/b")
	if asked() != 3 {
		t.Error("another object is passed on too")
	}
}

func TestPassMemoryIsBounded(t *testing.T) {
	var m passMemory
	now := time.Now()
	for i := range 3 * passMost {
		m.add(storage.ObjectID{byte(i), byte(i >> 8), byte(i >> 16)}, now)
	}
	if len(m.until) > passMost {
		t.Errorf("%d objects are remembered", len(m.until))
	}
	id := storage.ObjectID{1}
	m.add(id, now)
	if !m.has(id, now) || m.has(id, now.Add(passFor)) {
		t.Error("an object is remembered for the wrong time")
	}
}

func TestStorableAnswers(t *testing.T) {
	answer := func(status int, length int64, name, value string) *http.Response {
		h := http.Header{}
		if name != "" {
			h.Set(name, value)
		}
		return &http.Response{StatusCode: status, ContentLength: length, Header: h}
	}
	for name, tt := range map[string]struct {
		resp *http.Response
		want bool
	}{
		"plain":          {answer(200, 5, "", ""), true},
		"no length":      {answer(200, -1, "", ""), false},
		"coded":          {answer(200, 5, "Content-Encoding", "gzip"), false},
		"varies":         {answer(200, 5, "Vary", "Cookie"), false},
		"varies by code": {answer(200, 5, "Vary", "Accept-Encoding"), true},
		"no-store":       {answer(200, 5, "Cache-Control", "no-store"), false},
		"not found":      {answer(404, 5, "", ""), false},
	} {
		if storable(tt.resp) != tt.want {
			t.Errorf("%s: %t", name, !tt.want)
		}
	}
}
