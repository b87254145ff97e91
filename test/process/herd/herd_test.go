package herd_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/process/herd"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func content(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>10)
	}
	return b
}

// serve answers with body by net/http's own range code.
func serve(t *testing.T, wrap func(w http.ResponseWriter, r *http.Request, body []byte) bool, body []byte) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if wrap != nil && wrap(w, r, body) {
			return
		}
		w.Header().Set("Cache-Status", "n; hit")
		http.ServeContent(w, r, "x", time.Time{}, bytes.NewReader(body))
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

func TestReadsWholeAndPieces(t *testing.T) {
	body := content(5<<20 + 321)
	addr := serve(t, nil, body)
	o := &herd.Object{Host: "h.example", Path: "/x", Size: int64(len(body))}
	for name, check := range map[string]func(storage.Span) herd.Check{"equal": herd.Equal(body), "digests": herd.Sum(body).Check} {
		o.Check = check
		for plan, spans := range map[string][]storage.Span{"whole": o.Whole(), "pieces": o.Pieces(), "shuffled": o.Shuffled(3)} {
			c := &herd.Client{Nodes: []string{addr}}
			r := c.Read(t.Context(), o, spans, 2)
			if r.Bytes != o.Size || len(r.Wrong)+len(r.Unread)+len(r.Failures) != 0 || r.Requests != len(spans) {
				t.Errorf("%s %s: %+v", name, plan, r)
			}
			if r.Sources["hit"] != len(spans) || r.First.IsZero() || r.End.Before(r.First) || r.ByNode[addr] != o.Size {
				t.Errorf("%s %s: %+v", name, plan, r)
			}
		}
	}
}

func TestSeesWhatIsWrong(t *testing.T) {
	body := content(3 << 20)
	o := &herd.Object{Host: "h.example", Path: "/x", Size: int64(len(body)), Check: herd.Equal(body)}
	flipped := bytes.Clone(body)
	flipped[1<<20+5] ^= 1
	for name, test := range map[string]struct {
		body          []byte
		wrap          func(http.ResponseWriter, *http.Request, []byte) bool
		wrong, unread int
	}{
		"a flipped bit": {body: flipped, wrong: 1},
		"a shorter file": {body: body[:2<<20], wrap: func(w http.ResponseWriter, r *http.Request, b []byte) bool {
			w.Header().Set("Content-Length", fmt.Sprint(3<<20))
			w.Header().Set("Content-Range", "bytes 0-1048575/3145728")
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write(b[:1000])
			return true
		}, unread: 3},
		"200 to a range": {body: body, wrap: func(w http.ResponseWriter, r *http.Request, b []byte) bool {
			_, _ = w.Write(b)
			return true
		}, unread: 3},
		"503": {body: body, wrap: func(w http.ResponseWriter, _ *http.Request, _ []byte) bool {
			http.Error(w, "busy", http.StatusServiceUnavailable)
			return true
		}, unread: 3},
	} {
		c := &herd.Client{Nodes: []string{serve(t, test.wrap, test.body)}, Tries: 2}
		r := c.Read(t.Context(), o, o.Pieces(), 1)
		if len(r.Wrong) != test.wrong || len(r.Unread) != test.unread {
			t.Errorf("%s: wrong %v, unread %v, failures %v", name, r.Wrong, r.Unread, r.Failures)
		}
		if d := herd.Sum(body); test.wrong > 0 {
			o2 := *o
			o2.Check = d.Check
			if r := c.Read(t.Context(), &o2, o2.Whole(), 1); len(r.Wrong) != 1 {
				t.Errorf("%s by digest: %+v", name, r)
			}
		}
	}
}

func TestGoesOnAtTheNextNode(t *testing.T) {
	body := content(3 << 20)
	o := &herd.Object{Host: "h.example", Path: "/x", Size: int64(len(body)), Check: herd.Sum(body).Check}
	var cut atomic.Int32
	bad := serve(t, func(w http.ResponseWriter, r *http.Request, b []byte) bool {
		w.Header().Set("Content-Length", fmt.Sprint(len(b)))
		_, _ = w.Write(b[:1<<20])
		cut.Add(1)
		panic(http.ErrAbortHandler)
	}, body)
	good := serve(t, nil, body)
	var arrived atomic.Int64
	c := &herd.Client{Nodes: []string{bad, good}, Rate: 1 << 30, Arrived: func(_ string, n int) { arrived.Add(int64(n)) }}
	r := c.Read(t.Context(), o, o.Whole(), 1)
	if len(r.Wrong)+len(r.Unread) != 0 || r.Bytes != o.Size || arrived.Load() != o.Size {
		t.Fatalf("%+v", r)
	}
	if len(r.Failures) != 1 || len(r.FailedAt(bad)) != 0 || len(r.FailedAt(good)) != 1 || cut.Load() != 1 {
		t.Errorf("failures %v", r.Failures)
	}
}

func TestPaceAndCancel(t *testing.T) {
	body := content(1 << 20)
	o := &herd.Object{Host: "h.example", Path: "/x", Size: int64(len(body)), Check: herd.Equal(body)}
	addr := serve(t, nil, body)
	c := &herd.Client{Nodes: []string{addr}, Rate: 8 << 20, Probe: true}
	halves := []storage.Span{{End: 1 << 19}, {Off: 1 << 19, End: 1 << 20}}
	r := c.Read(t.Context(), o, halves, 1)
	// 1 MiB at 8 MiB/s: what is measured can only be longer than that.
	if took := r.End.Sub(r.Begun); took < 100*time.Millisecond || r.Gap == 0 || r.Bytes != o.Size+2 {
		t.Errorf("took %v, %+v", took, r)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r := c.Read(ctx, o, o.Pieces(), 1); len(r.Unread) != 1 || len(r.Failures) != 0 {
		t.Errorf("cancelled: %+v", r)
	}
}
