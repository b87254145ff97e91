package http1

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// told is what a handler sees of a request.
type told struct {
	Method, URI, Host, Proto string
	URL                      url.URL
	Header                   http.Header
	Close                    bool
	Length                   int64
}

func tellOf(r *http.Request) told {
	return told{r.Method, r.RequestURI, r.Host, r.Proto, *r.URL, r.Header, r.Close, r.ContentLength}
}

// behave answers in the ways that a handler may.
func behave(w http.ResponseWriter, r *http.Request) {
	body, err := json.Marshal(tellOf(r))
	if err != nil {
		panic(err)
	}
	h := w.Header()
	h["Content-Type"] = []string{"text/plain"} // net/http would guess
	long := strings.Repeat("0123456789abcdef", 1000)
	switch r.URL.Path {
	case "/length":
		h["Content-Length"] = []string{"5"}
		h["X-CID"] = []string{"as it is"}
		_, _ = io.WriteString(w, "hello")
	case "/two":
		h["Vary"] = []string{"a", "b"}
		h["X-Bad"] = []string{"a\r\nb: c"}
		h["Bad Name"] = []string{"a"}
		h["Date"] = nil
		w.WriteHeader(http.StatusNotFound)
		w.WriteHeader(http.StatusOK)
		h["Late"] = []string{"x"}
		_, _ = io.WriteString(w, "hello")
		_, _ = io.WriteString(w, "hello")
	case "/chunks":
		for range 3 {
			_, _ = io.WriteString(w, long)
		}
	case "/flush":
		_, _ = io.WriteString(w, "hello")
		_ = http.NewResponseController(w).Flush()
		_, _ = io.WriteString(w, "hello")
	case "/from":
		h["Content-Length"] = []string{"16000"}
		_, _ = w.(io.ReaderFrom).ReadFrom(strings.NewReader(long))
	case "/fromchunks":
		_, _ = w.(io.ReaderFrom).ReadFrom(strings.NewReader(long))
	case "/big":
		h["Content-Length"] = []string{"16003"}
		_, _ = io.WriteString(w, long)
		_, _ = io.WriteString(w, "end")
	case "/empty":
	case "/204":
		w.WriteHeader(http.StatusNoContent)
		_, _ = io.WriteString(w, "nothing")
	case "/304":
		h["Etag"] = []string{`"a"`}
		w.WriteHeader(http.StatusNotModified)
	case "/short":
		h["Content-Length"] = []string{"10"}
		_, _ = io.WriteString(w, "hello")
	case "/much":
		h["Content-Length"] = []string{"3"}
		if _, err := io.WriteString(w, "hello"); err != nil {
			_, _ = io.WriteString(w, "abc")
		}
	case "/close":
		h["Connection"] = []string{"close"}
		_, _ = io.WriteString(w, "hello")
	case "/status":
		w.WriteHeader(599)
	case "/notype":
		h["Content-Type"] = nil
		_, _ = io.WriteString(w, "<html>")
	case "/abort":
		h["Content-Length"] = []string{"10"}
		_, _ = io.WriteString(w, "hello")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	default:
		h["Content-Type"] = []string{"application/json"}
		_, _ = w.Write(body)
	}
}

// pipeListener hands out what is put into it.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

// prefixed is a connection of which something was read.
type prefixed struct {
	net.Conn
	ahead []byte
}

func (c *prefixed) Read(p []byte) (int, error) {
	if n := copy(p, c.ahead); n > 0 {
		c.ahead = c.ahead[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

// rig is a Server that hands over to net/http, and net/http alone.
type rig struct {
	*Server
	ctx    context.Context
	plain  *pipeListener // net/http alone
	handed chan string   // what was read of connections that were handed over
}

func newRig(t testing.TB, handler http.HandlerFunc, adjust func(*Config)) *rig {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	g := &rig{ctx: ctx, plain: newPipeListener(), handed: make(chan string, 1000)}
	over := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 32 << 10}
	cfg := Config{
		Handler: handler, ReadHeader: 10 * time.Second, Idle: 75 * time.Second,
		HandOver: func(c net.Conn, ahead []byte) {
			g.handed <- string(ahead)
			g.plain.conns <- &prefixed{c, ahead}
		},
	}
	if adjust != nil {
		adjust(&cfg)
	}
	var err error
	if g.Server, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- over.Serve(g.plain) }()
	t.Cleanup(func() {
		cancel()
		g.Close()
		_ = over.Close()
		<-served
	})
	return g
}

// dial returns the client's end of a connection to the loop.
func (g *rig) dial(t testing.TB) net.Conn {
	t.Helper()
	client, server := net.Pipe()
	t.Cleanup(func() { _ = client.Close() })
	g.ServeConn(g.ctx, server)
	return client
}

// dialPlain returns the client's end of a connection to net/http.
func (g *rig) dialPlain(t testing.TB) net.Conn {
	t.Helper()
	client, server := net.Pipe()
	t.Cleanup(func() { _ = client.Close() })
	g.plain.conns <- server
	return client
}
