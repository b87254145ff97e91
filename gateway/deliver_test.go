package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mccd/mccd/storage"
)

func TestHitBySendfile(t *testing.T) {
	const size = 3<<20 + 77
	n := startNode(t, size, nil)
	n.source.every = step{max: 1 << 20}
	a := n.get(t, doHost, "/a/b.cab")
	if a.err != nil || a.status != 200 || !bytes.Equal(a.body, n.source.data) {
		t.Fatalf("status %d, error %v, %d bytes %s, want %s", a.status, a.err, len(a.body), digest(a.body), digest(n.source.data))
	}
	if err := n.stop(); err != nil {
		t.Fatal(err)
	}
	sent, copied := n.metric(t, "mccd_gateway_sendfile_bytes_total"), n.metric(t, "mccd_gateway_copied_bytes_total")
	if hasSendfile && (sent != size || copied != 0) {
		t.Errorf("sendfile sent %v bytes, copies %v; want %d and 0", sent, copied, size)
	}
	if got := n.Totals(); got.Hit != size || got.Requests != 1 {
		t.Errorf("Totals = %+v", got)
	}
}

func TestHead(t *testing.T) {
	n := startNode(t, 1000, nil)
	a := n.send(t, request("HEAD", doHost, "/a", "Range: bytes=0-1"))
	if a.err != nil || a.status != 200 || a.header.Get("Content-Length") != "1000" || len(a.body) != 0 {
		t.Fatalf("%+v", a)
	}
	if reqs := n.source.requests(); len(reqs) != 1 || !reqs[0].HeadOnly {
		t.Errorf("source was asked %+v", reqs)
	}
}

// TestHeaderNamesOnTheWire: Delivery Optimization Lite matches names
// case-sensitively (docs/clients.md section 4).
func TestHeaderNamesOnTheWire(t *testing.T) {
	n := startNode(t, 1000, nil)
	c, err := n.dial()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, request("GET", "127.0.0.1", "/a?P1=1&cacheHostOrigin="+doHost, "Range: bytes=10-19")); err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	head, body, _ := strings.Cut(string(raw), "\r\n\r\n")
	for _, want := range []string{
		"HTTP/1.1 206 Partial Content\r\n", "\r\nContent-Length: 10\r\n", "\r\nContent-Range: bytes 10-19/1000\r\n",
		"\r\nAccept-Ranges: bytes\r\n", "\r\nX-CID: id-1\r\n", "\r\nCache-Status: n1; hit\r\n", "\r\nVia: 1.1 n1\r\n",
		"\r\nContent-Type: image/gif\r\n", "\r\nAge: ",
	} {
		if !strings.Contains(head+"\r\n", want) {
			t.Errorf("head has no %q:\n%s", want, head)
		}
	}
	if body != string(n.source.data[10:20]) {
		t.Errorf("body %q", body)
	}
	if strings.Contains(head, "chunked") {
		t.Errorf("chunked answer:\n%s", head)
	}
}

// TestFollowedFill: each run reaches the client while the next is not there.
func TestFollowedFill(t *testing.T) {
	const piece, pieces = 64 << 10, 8
	n := startNode(t, piece*pieces, nil)
	gates := make([]chan struct{}, pieces)
	n.source.mu.Lock()
	for i := range gates {
		gates[i] = make(chan struct{})
		n.source.steps = append(n.source.steps, step{max: piece, gate: gates[i], from: storage.SourceOrigin, join: true})
	}
	n.source.mu.Unlock()
	c, err := n.dial()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, request("GET", doHost, "/f")); err != nil {
		t.Fatal(err)
	}
	r := newReader(c)
	close(gates[0])
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got := resp.Header.Get("Cache-Status"); got != "n1; fwd=uri-miss; detail=origin; collapsed" {
		t.Errorf("Cache-Status %q", got)
	}
	buf := make([]byte, piece)
	for i := range pieces {
		if i > 0 {
			close(gates[i])
		}
		if _, err := io.ReadFull(resp.Body, buf); err != nil {
			t.Fatalf("piece %d: %v", i, err)
		}
		if !bytes.Equal(buf, n.source.data[i*piece:(i+1)*piece]) {
			t.Fatalf("piece %d is wrong", i)
		}
	}
	if err := n.stop(); err != nil {
		t.Fatal(err)
	}
	if sent := n.metric(t, "mccd_gateway_sendfile_bytes_total"); hasSendfile && n.client == nil && sent != piece*pieces {
		t.Errorf("sendfile sent %v bytes of a followed fill, want %d", sent, piece*pieces)
	}
	if got := n.metric(t, "mccd_gateway_bytes_total", "windows-update", "miss"); got != piece*pieces {
		t.Errorf("%v bytes counted as misses", got)
	}
}

// TestCutInMidBody: a failure after the head closes the connection; the body
// never looks whole.
func TestCutInMidBody(t *testing.T) {
	for _, tt := range []struct {
		name string
		step step
		cut  string
	}{
		{"version gone", step{err: storage.ErrVersionGone}, cutUpstream},
		{"origin lost", step{err: storage.ErrUpstream}, cutUpstream},
		{"no byte in time", step{gate: make(chan struct{})}, cutUpstream},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := startNode(t, 200<<10, func(c *Config) { c.FirstByte = 50 * time.Millisecond })
			n.source.steps = []step{{max: 64 << 10}, tt.step}
			a := n.get(t, doHost, "/f")
			if a.status != 200 || !errors.Is(a.err, io.ErrUnexpectedEOF) || !bytes.Equal(a.body, n.source.data[:64<<10]) {
				t.Errorf("status %d, error %v, %d bytes; want a cut after 64 KiB", a.status, a.err, len(a.body))
			}
			if err := n.stop(); err != nil {
				t.Fatal(err)
			}
			if got := n.metric(t, "mccd_gateway_cut_responses_total", tt.cut); got != 1 {
				t.Errorf("%v cuts counted for %s", got, tt.cut)
			}
			if reqs := n.source.requests(); len(reqs) != 1 {
				t.Errorf("opened %d times after the head", len(reqs))
			}
		})
	}
}

// TestBadRunIsCut: a source that breaks its contract harms no client.
func TestBadRunIsCut(t *testing.T) {
	n := startNode(t, 100, nil)
	if err := n.source.file.Truncate(n.source.base + 40); err != nil {
		t.Fatal(err)
	}
	a := n.get(t, doHost, "/f")
	if a.err == nil || len(a.body) > 40 {
		t.Errorf("%d bytes of a 40 byte file came, error %v", len(a.body), a.err)
	}
}

func TestVersionGoneBeforeTheHead(t *testing.T) {
	n := startNode(t, 100, nil)
	n.source.steps = []step{{err: storage.ErrVersionGone}, {err: storage.ErrVersionGone}}
	if a := n.get(t, doHost, "/f"); a.status != 200 || a.err != nil {
		t.Errorf("status %d, error %v after two lost versions", a.status, a.err)
	}
	n.source.mu.Lock()
	n.source.steps = []step{{err: storage.ErrVersionGone}, {err: storage.ErrVersionGone}, {err: storage.ErrVersionGone}}
	n.source.mu.Unlock()
	if a := n.get(t, doHost, "/f"); a.status != 503 {
		t.Errorf("status %d after three lost versions, want 503", a.status)
	}
	if got := len(n.source.requests()); got != 6 {
		t.Errorf("opened %d times, want 3 and 3", got)
	}
}

// TestNoByteInTime: a client without a byte gets 503 (docs/clients.md section 5).
func TestNoByteInTime(t *testing.T) {
	for _, host := range []string{doHost, httpHost} {
		n := startNode(t, 100, func(c *Config) { c.FirstByte = 20 * time.Millisecond })
		n.source.steps = []step{{gate: make(chan struct{})}}
		if a := n.get(t, host, "/f"); a.status != 503 || a.header.Get("Retry-After") == "" {
			t.Errorf("%s: status %d, %v", host, a.status, a.header)
		}
	}
}

// TestHerd: many clients share one descriptor, each by its own offsets.
func TestHerd(t *testing.T) {
	const size, clients, rounds = 2<<20 + 5, 60, 4
	n := startNode(t, size, nil)
	n.source.every = step{max: 100_000}
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			c, err := n.dial()
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			r := newReader(c)
			for round := range rounds {
				from := (i*7919 + round*104729) % size
				to := min(size, from+300_000) - 1
				req := fmt.Sprintf("GET /f HTTP/1.1\r\nHost: %s\r\nRange: bytes=%d-%d\r\n\r\n", doHost, from, to)
				if _, err := io.WriteString(c, req); err != nil {
					t.Error(err)
					return
				}
				a := readAnswer(r, "GET")
				if a.err != nil || a.status != 206 || !bytes.Equal(a.body, n.source.data[from:to+1]) {
					t.Errorf("client %d: status %d, error %v, wrong bytes", i, a.status, a.err)
					return
				}
			}
		})
	}
	wg.Wait()
}
