package gateway

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mccd/mccd/storage"
)

func dial(t *testing.T, n *node) net.Conn {
	t.Helper()
	c, err := n.dial()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func ask(t *testing.T, c net.Conn, raw string) {
	t.Helper()
	if _, err := io.WriteString(c, raw); err != nil {
		t.Fatal(err)
	}
}

// TestOverTheConnectionBound: one connection more gets a fast 503, and the
// place is free again when one closes.
func TestOverTheConnectionBound(t *testing.T) {
	n := startNode(t, 1000, func(c *Config) { c.MaxConns = 2 })
	keep := "GET /a HTTP/1.1\r\nHost: " + doHost + "\r\n\r\n"
	first, second := dial(t, n), dial(t, n)
	for _, c := range []net.Conn{first, second} {
		ask(t, c, keep)
		if a := readAnswer(newReader(c), "GET"); a.status != 200 {
			t.Fatalf("status %d", a.status)
		}
	}
	a := n.send(t, keep)
	if a.err != nil || a.status != 503 || len(a.body) == 0 || !a.close {
		t.Errorf("third connection: %+v", a)
	}
	first.Close()
	for range 2000 { // the server notices the close a moment later
		if a = n.send(t, request("GET", doHost, "/a")); a.status == 200 {
			break
		}
	}
	if a.status != 200 {
		t.Errorf("after a close: %d", a.status)
	}
	if n.metric(t, "mccd_gateway_refused_connections_total") < 1 {
		t.Error("no refusal was counted")
	}
}

// TestClientThatTakesNothing is closed, and its content released.
func TestClientThatTakesNothing(t *testing.T) {
	n := startNode(t, 32<<20, func(c *Config) { c.SlowWindow = 50 * time.Millisecond })
	c := dial(t, n)
	if err := tcp(c).SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	ask(t, c, request("GET", doHost, "/a"))
	n.log.await(t, `"cut":"client"`)
	got, _ := io.ReadAll(c)
	if int64(len(got)) >= n.source.object.Size() {
		t.Errorf("%d bytes came", len(got))
	}
}

// TestSlowClientThatTakesEnough outlasts many windows. On a machine that does not
// let the client take anything for most of a window, longer ones are tried.
func TestSlowClientThatTakesEnough(t *testing.T) {
	for _, window := range []time.Duration{30 * time.Millisecond, 300 * time.Millisecond, 3 * time.Second} {
		gap, err := takeSlowly(t, window)
		if err == nil {
			return
		}
		if gap < window/2 || window >= time.Second {
			t.Fatalf("a client that took bytes every %s at least was cut, with a window of %s: %v", gap, window, err)
		}
	}
}

// takeSlowly has a client rest for a third of a window after each MiB, 16 times,
// and returns the longest time that it took nothing.
func takeSlowly(t *testing.T, window time.Duration) (gap time.Duration, err error) {
	const size = 16 << 20
	n := startNode(t, size, func(c *Config) { c.SlowWindow, c.SlowBytes = window, 1 })
	c := dial(t, n)
	ask(t, c, request("GET", doHost, "/a"))
	last := time.Now()
	resp, err := http.ReadResponse(newReader(c), nil)
	if err != nil {
		return time.Since(last), err
	}
	defer resp.Body.Close()
	got := make([]byte, 0, size)
	buf := make([]byte, 256<<10)
	for {
		m, err := resp.Body.Read(buf)
		got = append(got, buf[:m]...)
		gap, last = max(gap, time.Since(last)), time.Now()
		if err == io.EOF {
			break
		}
		if err != nil {
			return gap, fmt.Errorf("cut after %d bytes: %w", len(got), err)
		}
		if len(got)%(1<<20) < m {
			<-time.After(window / 3) // a slow client is what is tested
		}
	}
	if !bytes.Equal(got, n.source.data) {
		t.Error("wrong bytes")
	}
	return gap, nil
}

// TestClientThatLeaves ends the wait for its bytes.
func TestClientThatLeaves(t *testing.T) {
	n := startNode(t, 1000, nil)
	n.source.steps = []step{{gate: make(chan struct{})}}
	c := dial(t, n)
	ask(t, c, "GET /a HTTP/1.1\r\nHost: "+doHost+"\r\n\r\n")
	<-n.source.opened
	c.Close()
	n.log.await(t, `"cut":"client"`)
}

// TestDrain: what is in flight is finished, and told to close; meanwhile new
// connections get 503 and are not refused, which would ban the cache
// (docs/clients.md section 5); then nobody listens.
func TestDrain(t *testing.T) {
	gate := make(chan struct{})
	draining := make(chan struct{})
	n := startNode(t, 1000, func(c *Config) {
		c.Draining = func() bool {
			select {
			case <-draining:
				return true
			default:
				return false
			}
		}
	})
	n.source.steps = []step{{gate: gate}}
	c := dial(t, n)
	ask(t, c, "GET /a HTTP/1.1\r\nHost: "+doHost+"\r\n\r\n")
	<-n.source.opened
	close(draining)
	stopped := make(chan error, 1)
	go func() { stopped <- n.stop() }()
	late := n.get(t, doHost, "/a")
	for late.status == 200 { // accepted before the drain began
		late = n.get(t, doHost, "/a")
	}
	if late.status != 503 || late.err != nil || !late.close || len(late.body) == 0 {
		t.Errorf("new connection: %d, error %v, %v", late.status, late.err, late.header)
	}
	close(gate)
	a := readAnswer(newReader(c), "GET")
	if a.status != 200 || a.err != nil || len(a.body) != 1000 || !a.close {
		t.Errorf("response in flight: %d, error %v, %v", a.status, a.err, a.header)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if extra, err := net.Dial("tcp", n.addr); err == nil {
		extra.Close()
		t.Error("somebody still listens")
	}
}

func TestDrainCutsAfterTheGrace(t *testing.T) {
	n := startNode(t, 1000, func(c *Config) { c.Grace = 10 * time.Millisecond })
	n.source.steps = []step{{gate: make(chan struct{})}}
	c := dial(t, n)
	ask(t, c, "GET /a HTTP/1.1\r\nHost: "+doHost+"\r\n\r\n")
	<-n.source.opened
	if err := n.stop(); err != nil {
		t.Error(err)
	}
	if got, _ := io.ReadAll(c); len(got) != 0 {
		t.Errorf("%d bytes came", len(got))
	}
}

// TestKeepAlive: answers follow each other on one connection in order, also
// when they were asked for at once.
func TestKeepAlive(t *testing.T) {
	n := startNode(t, 1000, nil)
	n.source.every = step{max: 300, from: storage.SourcePeer}
	c := dial(t, n)
	one := "GET /a HTTP/1.1\r\nHost: " + doHost + "\r\n"
	ask(t, c, one+"\r\n"+one+"Range: bytes=5-9\r\n\r\n"+"HEAD"+one[3:]+"\r\n"+one+"Range: bytes=0-0,3-3\r\n\r\n"+one+"\r\n")
	r := newReader(c)
	for i, want := range []struct {
		method string
		status int
		length int
	}{{"GET", 200, 1000}, {"GET", 206, 5}, {"HEAD", 200, 0}, {"GET", 503, -1}, {"GET", 200, 1000}} {
		a := readAnswer(r, want.method)
		if a.err != nil || a.status != want.status || want.length >= 0 && len(a.body) != want.length {
			t.Fatalf("answer %d: %d, error %v, %d bytes", i, a.status, a.err, len(a.body))
		}
		if i == 0 && !strings.Contains(a.header.Get("Cache-Status"), "detail=peer") {
			t.Errorf("Cache-Status %q", a.header.Get("Cache-Status"))
		}
	}
}
