package gateway

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/mccd/mccd/storage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	doHost   = "au.download.windowsupdate.com"
	httpHost = "files.example.org"
)

// fakeCatalogue serves one host of each profile.
type fakeCatalogue struct{ lookups atomic.Int64 }

func (c *fakeCatalogue) Lookup(host string) (*storage.Rule, bool) {
	c.lookups.Add(1)
	switch host {
	case doHost:
		return &storage.Rule{Name: "windows-update", Profile: storage.ProfileDO, PassNotFound: []string{"pieceshash"}, Ports: []int{80, 443, 8080}}, true
	case httpHost:
		return &storage.Rule{Name: "files", Profile: storage.ProfileHTTP, QueryInKey: true}, true
	}
	return nil, false
}

// step is what a fake content gives for one call of Next.
type step struct {
	max  int64         // longest run; 0: the whole span
	gate chan struct{} // waited for, with the context
	from storage.Source
	join bool
	// early gives the bytes themselves, in no file.
	early bool
	err   error
}

// fakeSource serves one object from a real file at a base offset.
type fakeSource struct {
	file   *os.File
	base   int64
	data   []byte
	object storage.Object

	mu     sync.Mutex // guards the rest
	opens  []storage.Request
	errs   []error // what the next opens end with
	steps  []step  // what the next calls of Next do, over all contents
	every  step    // what they do after that
	passed []http.Header

	open   atomic.Int64  // contents not closed
	opened chan struct{} // gets a value per Open while there is room
	pass   func(method string, ref storage.Ref, h http.Header) (*http.Response, error)
}

func newFakeSource(t testing.TB, size int) *fakeSource {
	t.Helper()
	s := &fakeSource{base: 8192, data: make([]byte, size), opened: make(chan struct{}, 16)}
	seed := sha256.Sum256([]byte(t.Name()))
	for i := range s.data {
		s.data[i] = seed[i%32] ^ byte(i>>5) ^ byte(i>>13)
	}
	f, err := os.CreateTemp(t.TempDir(), "chunk")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if _, err := f.WriteAt(s.data, s.base); err != nil {
		t.Fatal(err)
	}
	s.file = f
	modified := "Mon, 01 Jun 2026 10:00:00 GMT"
	s.object = storage.Object{
		Version:     storage.Version{Kind: storage.ValidatorETag, ETag: `"v1"`, LastModified: modified, Size: int64(size)},
		Header:      http.Header{"Etag": {`"v1"`}, "Last-Modified": {modified}, "Content-Type": {"image/gif"}},
		ValidatedAt: time.Now(), FreshFor: time.Hour,
	}
	return s
}

func (s *fakeSource) Open(ctx context.Context, req storage.Request) (Content, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opens = append(s.opens, req)
	select {
	case s.opened <- struct{}{}:
	default:
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(s.errs) > 0 {
		err := s.errs[0]
		s.errs = s.errs[1:]
		if err != nil {
			return nil, err
		}
	}
	s.open.Add(1)
	return &fakeContent{s: s, obj: &s.object}, nil
}

func (s *fakeSource) Pass(_ context.Context, method string, ref storage.Ref, _ *storage.Rule, h http.Header, _ io.Reader) (*http.Response, error) {
	s.mu.Lock()
	s.passed = append(s.passed, h)
	s.mu.Unlock()
	return s.pass(method, ref, h)
}

func (s *fakeSource) requests() []storage.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]storage.Request(nil), s.opens...)
}

type fakeContent struct {
	s      *fakeSource
	obj    *storage.Object
	closed bool
}

func (c *fakeContent) Object() *storage.Object { return c.obj }

func (c *fakeContent) Next(ctx context.Context, span storage.Span) (storage.Run, error) {
	c.s.mu.Lock()
	st := c.s.every
	if len(c.s.steps) > 0 {
		st = c.s.steps[0]
		c.s.steps = c.s.steps[1:]
	}
	c.s.mu.Unlock()
	if st.gate != nil {
		select {
		case <-st.gate:
		case <-ctx.Done():
			return storage.Run{}, ctx.Err()
		}
	}
	if st.err != nil {
		return storage.Run{}, st.err
	}
	n := span.Len()
	if st.max > 0 {
		n = min(n, st.max)
	}
	if st.early {
		return storage.Run{Bytes: c.s.data[span.Off : span.Off+n], Len: n, From: st.from, Collapsed: st.join}, nil
	}
	return storage.Run{File: c.s.file, Off: c.s.base + span.Off, Len: n, From: st.from, Collapsed: st.join}, nil
}

func (c *fakeContent) Close() {
	if c.closed {
		panic("content closed twice")
	}
	c.closed = true
	c.s.open.Add(-1)
}

// node is a running gateway over a fake source.
type node struct {
	*Gateway
	source    *fakeSource
	catalogue *fakeCatalogue
	registry  *prometheus.Registry
	log       *syncBuffer
	addr      string
	client    *tls.Config // nil: plain http
	stop      func() error
}

// syncBuffer is a log that can be waited for.
type syncBuffer struct {
	mu    sync.Mutex
	b     bytes.Buffer
	wrote chan struct{} // closed at the next write; nil while nobody waits
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.wrote != nil {
		close(b.wrote)
		b.wrote = nil
	}
	return b.b.Write(p)
}

// await returns when the log holds part.
func (b *syncBuffer) await(t testing.TB, part string) {
	t.Helper()
	for {
		b.mu.Lock()
		found := strings.Contains(b.b.String(), part)
		if b.wrote == nil {
			b.wrote = make(chan struct{})
		}
		wrote := b.wrote
		b.mu.Unlock()
		if found {
			return
		}
		select {
		case <-wrote:
		case <-time.After(30 * time.Second):
			t.Fatalf("no %s in the log:\n%s", part, b)
		}
	}
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func startNode(t testing.TB, size int, adjust func(*Config)) *node {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &node{source: newFakeSource(t, size), catalogue: &fakeCatalogue{}, registry: prometheus.NewRegistry(), log: &syncBuffer{}}
	cfg := Config{
		Catalogue: n.catalogue, Source: n.source, Pass: n.source, NodeName: "n1", NodeID: "id-1",
		Listeners: []net.Listener{l}, Registerer: n.registry,
		Logger: slog.New(slog.NewJSONHandler(n.log, nil)), AccessLog: n.log,
		// On a busy machine a herd's handshakes and heads take longer than the
		// defaults; a test of these times sets its own.
		ReadHeader: 2 * time.Minute, FirstByte: 2 * time.Minute, SlowWindow: 2 * time.Minute, Idle: 5 * time.Minute,
	}
	if strings.HasPrefix(t.Name(), underTLS) {
		n.client = cfg.underTLS(t)
	}
	if adjust != nil {
		adjust(&cfg)
	}
	if n.Gateway, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	n.addr = n.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	n.stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() {
		if err := n.stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
		if left := n.source.open.Load(); left != 0 {
			t.Errorf("%d contents were not closed", left)
		}
	})
	return n
}

// metric returns the sum of a family's counters or gauges whose labels hold
// all of want.
func (n *node) metric(t testing.TB, name string, want ...string) float64 {
	t.Helper()
	families, err := n.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var sum float64
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			text := m.String()
			matches := true
			for _, w := range want {
				matches = matches && strings.Contains(text, `"`+w+`"`)
			}
			if matches {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

// answer is a response read to its end.
type answer struct {
	status int
	header http.Header
	body   []byte
	close  bool // Connection: close
	err    error
}

// send writes raw as a request on a connection of its own and reads the answer.
func (n *node) send(t testing.TB, raw string) answer {
	t.Helper()
	c, err := n.dial()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, raw); err != nil {
		t.Fatal(err)
	}
	method, _, _ := strings.Cut(raw, " ")
	return readAnswer(newReader(c), method)
}

// get asks for target of the do host by form 2 with extra header lines.
func (n *node) get(t testing.TB, host, target string, lines ...string) answer {
	t.Helper()
	return n.send(t, request("GET", host, target, lines...))
}

func request(method, host, target string, lines ...string) string {
	raw := method + " " + target + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n"
	for _, line := range lines {
		raw += line + "\r\n"
	}
	return raw + "\r\n"
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}
