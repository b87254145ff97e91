package gateway

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mccd/mccd/storage"
)

func passed(status int, length int64, body string, header http.Header) func(string, storage.Ref, http.Header) (*http.Response, error) {
	return func(string, storage.Ref, http.Header) (*http.Response, error) {
		h := header.Clone()
		if h == nil {
			h = http.Header{}
		}
		return &http.Response{StatusCode: status, ContentLength: length, Header: h, Body: io.NopCloser(strings.NewReader(body))}, nil
	}
}

func TestPass(t *testing.T) {
	for _, tt := range []struct {
		name, host string
		lines      []string
		open       error
		pass       func(string, storage.Ref, http.Header) (*http.Response, error)
		status     int
		body       string // "-": a refusal's text
		cut        bool
		how        string
	}{
		{"uncacheable", httpHost, nil, storage.ErrUncacheable, passed(200, 5, "hello", nil), 200, "hello", false, statusUnstored},
		{"unknown length", httpHost, nil, storage.ErrLength, passed(200, -1, "hello", nil), 200, "hello", false, statusUnstored},
		{"credentials", httpHost, []string{"Authorization: Basic x"}, nil, passed(200, 2, "hi", nil), 200, "hi", false, statusBypass},
		{"its status", httpHost, []string{"Authorization: Basic x"}, nil, passed(401, 2, "no", http.Header{"Www-Authenticate": {"Basic"}}), 401, "no", false, statusBypass},
		{"short body", httpHost, nil, storage.ErrUncacheable, passed(200, 9, "hello", nil), 200, "hello", true, statusUnstored},
		{"do", doHost, nil, storage.ErrUncacheable, passed(200, 5, "hello", nil), 200, "hello", false, statusUnstored},
		{"do with range", doHost, []string{"Range: bytes=1-2"}, storage.ErrUncacheable, passed(206, 2, "el", http.Header{"Content-Range": {"bytes 1-2/5"}}), 206, "el", false, statusUnstored},
		{"do, range ignored", doHost, []string{"Range: bytes=1-2"}, storage.ErrUncacheable, passed(200, 5, "hello", nil), 503, "-", false, statusFailed},
		{"do, partial unasked", doHost, nil, storage.ErrUncacheable, passed(206, 2, "el", nil), 503, "-", false, statusFailed},
		{"do, no length", doHost, nil, storage.ErrUncacheable, passed(200, -1, "hello", nil), 503, "-", false, statusFailed},
		{"do, empty success", doHost, nil, storage.ErrUncacheable, passed(204, 0, "", nil), 503, "-", false, statusFailed},
		{"do, forbidden", doHost, nil, storage.ErrUncacheable, passed(403, 2, "no", nil), 502, "-", false, statusFailed},
		{"do, unknown length is not passed", doHost, nil, storage.ErrLength, passed(200, 5, "hello", nil), 503, "-", false, statusFailed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := startNode(t, 10, nil)
			n.source.errs = []error{tt.open}
			n.source.pass = tt.pass
			a := n.get(t, tt.host, "/a?q", tt.lines...)
			if a.status != tt.status || tt.body != "-" && string(a.body) != tt.body || tt.cut != (a.err != nil) {
				t.Errorf("%d %q, error %v", a.status, a.body, a.err)
			}
			if got := a.header.Get("Cache-Status"); got != "n1"+tt.how {
				t.Errorf("Cache-Status %q", got)
			}
		})
	}
}

// TestPassedHeaders: what goes on to the origin, and what comes back.
func TestPassedHeaders(t *testing.T) {
	n := startNode(t, 10, nil)
	n.source.pass = passed(200, 2, "ok", http.Header{
		"Connection": {"X-Hop"}, "X-Hop": {"1"}, "Keep-Alive": {"timeout=5"}, "X-End": {"2"}, "Via": {"1.1 cdn"}, "Cache-Status": {"cdn; hit"},
	})
	a := n.get(t, httpHost, "/a", "Authorization: Basic x", "Te: trailers", "Range: bytes=0-1", "Accept: x/y")
	if a.header.Get("X-Hop") != "" || a.header.Get("Keep-Alive") != "" || a.header.Get("X-End") != "2" ||
		a.header.Get("Via") != "1.1 cdn, 1.1 n1" || a.header.Get("Cache-Status") != "cdn; hit, n1"+statusBypass {
		t.Errorf("came back: %v", a.header)
	}
	n.source.mu.Lock()
	n.source.errs = []error{storage.ErrUncacheable}
	n.source.mu.Unlock()
	n.get(t, doHost, "/a", "User-Agent: "+liteAgent, "Authorization: x", "Range: bytes=0-9", "Range: bytes=0-9, bytes=5-9")
	n.source.mu.Lock()
	h := n.source.passed
	n.source.mu.Unlock()
	if h[0].Get("Authorization") != "Basic x" || h[0].Get("Te") != "" || h[0].Get("Accept") != "x/y" || h[0].Get("Range") != "bytes=0-1" {
		t.Errorf("went on in http: %v", h[0])
	}
	if len(h[1]) != 1 || h[1].Get("Range") != "bytes=5-9" {
		t.Errorf("went on in do: %v", h[1])
	}
}

// blocked is a body that gives one part and then nothing until it is closed.
type blocked struct {
	first  io.Reader
	closed chan struct{}
}

func (b *blocked) Read(p []byte) (int, error) {
	if n, err := b.first.Read(p); err == nil {
		return n, nil
	}
	<-b.closed
	return 0, io.ErrClosedPipe
}

func (b *blocked) Close() error { return nil }

// TestPassStreams: parts reach the client as they come, and an origin that
// falls silent is cut.
func TestPassStreams(t *testing.T) {
	for _, proto := range []string{"1.1", "1.0"} { // to the latter, the body ends with the connection
		t.Run(proto, func(t *testing.T) {
			n := startNode(t, 10, func(c *Config) { c.FirstByte = 50 * time.Millisecond })
			body := &blocked{first: strings.NewReader("part"), closed: make(chan struct{})}
			n.source.errs = []error{storage.ErrUncacheable}
			n.source.pass = func(string, storage.Ref, http.Header) (*http.Response, error) {
				return &http.Response{StatusCode: 200, ContentLength: -1, Header: http.Header{}, Body: body}, nil
			}
			c := dial(t, n)
			ask(t, c, strings.Replace(request("GET", httpHost, "/a"), "HTTP/1.1", "HTTP/"+proto, 1))
			resp, err := http.ReadResponse(newReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			buf := make([]byte, 4)
			if _, err := io.ReadFull(resp.Body, buf); err != nil || string(buf) != "part" {
				t.Fatalf("%q, %v", buf, err)
			}
			close(body.closed)
			if _, err := io.ReadAll(resp.Body); err == nil {
				t.Error("a cut body looks whole")
			}
		})
	}
}

func TestNoPasser(t *testing.T) {
	n := startNode(t, 10, func(c *Config) { c.Pass = nil })
	n.source.errs = []error{storage.ErrUncacheable, storage.ErrUncacheable}
	for host, want := range map[string]int{doHost: 503, httpHost: 502} {
		if a := n.get(t, host, "/a"); a.status != want {
			t.Errorf("%s: %d, want %d", host, a.status, want)
		}
	}
}
