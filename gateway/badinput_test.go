package gateway

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/mccd/mccd/storage"
)

// TestBadInput: what a client gets for each kind of bad request, on the wire.
// None of them reaches the source.
func TestBadInput(t *testing.T) {
	n := startNode(t, 1000, nil)
	ranges := strings.Repeat("0-0,", 10_000)
	for _, tt := range []struct {
		name   string
		raw    string
		status int
	}{
		{"unknown host", request("GET", "other.example", "/a"), 403},
		{"own address", request("GET", "127.0.0.1", "/a"), 403},
		{"unknown origin", request("GET", "cache", "/a?cacheHostOrigin=other.example"), 403},
		{"userinfo", request("GET", "cache", "/a?cacheHostOrigin=u:p@"+doHost), 403},
		{"escaped userinfo", request("GET", "cache", "/a?cacheHostOrigin=u%40"+doHost), 403},
		{"path in the origin", request("GET", "cache", "/a?cacheHostOrigin="+doHost+"/x"), 403},
		{"escaped path in the origin", request("GET", "cache", "/a?cacheHostOrigin="+doHost+"%2fx"), 403},
		{"escaped space", request("GET", "cache", "/a?cacheHostOrigin="+doHost+"%20"), 403},
		{"plus", request("GET", "cache", "/a?cacheHostOrigin="+doHost+"+"), 403},
		{"escaped line end", request("GET", "cache", "/a?cacheHostOrigin="+doHost+"%0d%0aX:y"), 403},
		{"raw space", request("GET", "cache", "/a?cacheHostOrigin=a b"), 400},
		{"raw control character", request("GET", "cache", "/a?cacheHostOrigin=a\x01b"), 400},
		{"IPv4", request("GET", "cache", "/a?cacheHostOrigin=127.0.0.1"), 403},
		{"IPv4 in hexadecimal", request("GET", "cache", "/a?cacheHostOrigin=0x7f.1"), 403},
		{"IPv4 as a number", request("GET", "cache", "/a?cacheHostOrigin=2130706433"), 403},
		{"IPv6", request("GET", "cache", "/a?cacheHostOrigin=[::1]"), 403},
		{"port out of range", request("GET", "cache", "/a?cacheHostOrigin="+doHost+":65536"), 403},
		{"port not served", request("GET", "cache", "/a?cacheHostOrigin="+doHost+":22"), 403},
		{"several origins", request("GET", "cache", "/a?cacheHostOrigin="+doHost+"&cacheHostOrigin="+httpHost), 403},
		{"https target over http", request("GET", doHost, "https://"+doHost+"/a"), 403},
		{"open proxy", request("GET", doHost, "http://other.example/a"), 403},
		{"CONNECT", "CONNECT " + doHost + ":443 HTTP/1.1\r\nHost: " + doHost + "\r\n\r\n", 405},
		{"OPTIONS *", request("OPTIONS", doHost, "*"), 400},
		{"POST", request("POST", doHost, "/a", "Content-Length: 0"), 405},
		{"POST in http", request("POST", httpHost, "/a", "Content-Length: 0"), 405},
		{"POST elsewhere", request("POST", "other.example", "/a", "Content-Length: 0"), 403},
		{"dot segment", request("GET", doHost, "/a/../b"), 400},
		{"escaped dot segment", request("GET", doHost, "/a/%2e%2e/b"), 400},
		{"broken escape", request("GET", doHost, "/a%zz"), 400},
		{"cut escape", request("GET", doHost, "/a%2"), 400},
		{"NUL", request("GET", doHost, "/a%00"), 400},
		{"backslash", request("GET", doHost, `/a\b`), 400},
		{"no slash", request("GET", doHost, "a"), 400},
		{"no host", "GET /a HTTP/1.1\r\nConnection: close\r\n\r\n", 400},
		{"two hosts", "GET /a HTTP/1.1\r\nHost: " + doHost + "\r\nHost: b\r\nConnection: close\r\n\r\n", 400},
		{"garbage", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\r\n\r\n", 400},
		{"HTTP/2 without being asked", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400},
		{"oversized header", request("GET", doHost, "/a", "X: "+strings.Repeat("x", 64<<10)), 431},
		{"oversized target", request("GET", doHost, "/"+strings.Repeat("x", 64<<10)), 431},
		{"10,000 ranges in do", request("GET", doHost, "/a", "Range: bytes="+ranges[:30_000]), 503},
		{"10,000 ranges in http", request("GET", httpHost, "/a", "Range: bytes="+ranges[:30_000]), 416},
		{"unreadable range in do", request("GET", doHost, "/a", "Range: lines=1-2"), 503},
		{"several ranges in do", request("GET", doHost, "/a", "Range: bytes=0-1,5-6"), 503},
		{"loop", request("GET", doHost, "/a", "Via: 1.0 fred, 1.1 N1 (mccd)"), 508},
	} {
		a := n.send(t, tt.raw)
		if a.err != nil || a.status != tt.status {
			t.Errorf("%s: %d, error %v; want %d", tt.name, a.status, a.err, tt.status)
			continue
		}
		if a.header.Get("X-Cid") != "" && (a.header.Get("Cache-Control") != "no-store" || a.header.Get("Content-Length") != fmt.Sprint(len(a.body)) || len(a.body) == 0) {
			t.Errorf("%s: %v %q", tt.name, a.header, a.body)
		}
		if a.status == 405 && a.header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: Allow %q", tt.name, a.header.Get("Allow"))
		}
	}
	if reqs := n.source.requests(); len(reqs) != 0 {
		t.Errorf("the source was asked: %+v", reqs)
	}
}

// TestRangeBeyondTheObject asks the source, which knows the size.
func TestRangeBeyondTheObject(t *testing.T) {
	n := startNode(t, 1000, nil)
	for host, want := range map[string]int{doHost: 503, httpHost: 416} {
		for _, r := range []string{"bytes=1000-", "bytes=9223372036854775808-", "bytes=99999999999999999999-99999999999999999999"} {
			if a := n.get(t, host, "/a", "Range: "+r); a.status != want {
				t.Errorf("%s %s: %d, want %d", host, r, a.status, want)
			}
		}
	}
	if a := n.get(t, doHost, "/a", "Range: bytes=998-99999999999999999999"); a.status != 206 || len(a.body) != 2 {
		t.Errorf("last byte beyond 2^63: %d, %d bytes", a.status, len(a.body))
	}
}

// TestOriginTrouble: what a client gets when the fill ends without bytes.
func TestOriginTrouble(t *testing.T) {
	n := startNode(t, 1000, nil)
	for _, tt := range []struct {
		err      error
		do, http int
	}{
		{storage.ErrUpstream, 503, 502}, {storage.ErrBusy, 503, 503}, {storage.ErrLength, 503, 0},
		{&storage.StatusError{Code: 404}, 502, 404}, {&storage.StatusError{Code: 429}, 502, 429}, {io.ErrUnexpectedEOF, 503, 503},
	} {
		for host, want := range map[string]int{doHost: tt.do, httpHost: tt.http} {
			if want == 0 {
				continue
			}
			n.source.mu.Lock()
			n.source.errs = []error{tt.err}
			n.source.mu.Unlock()
			if a := n.get(t, host, "/a"); a.status != want || a.header.Get("Cache-Control") != "no-store" {
				t.Errorf("%v at %s: %d %v, want %d", tt.err, host, a.status, a.header, want)
			}
		}
	}
}

// TestOwnTroubleIsLogged: the answer sends operators to the log, at its usual
// level; what origins and clients do is not written there per request.
func TestOwnTroubleIsLogged(t *testing.T) {
	n := startNode(t, 1000, func(c *Config) { c.AccessLog = nil })
	n.source.errs = []error{storage.ErrUpstream, storage.ErrBusy, io.ErrUnexpectedEOF}
	for range 2 {
		n.get(t, doHost, "/a")
	}
	if log := n.log.String(); log != "" {
		t.Errorf("upstream trouble in the log: %s", log)
	}
	a := n.get(t, doHost, "/a?P4=secret")
	log := n.log.String()
	if !strings.Contains(string(a.body), "log") || !strings.Contains(log, io.ErrUnexpectedEOF.Error()) || strings.Contains(log, "secret") {
		t.Errorf("answer %q, log %q", a.body, log)
	}
}

// TestSlowHeads: clients that send their head byte by byte are cut, and others
// are served meanwhile.
func TestSlowHeads(t *testing.T) {
	n := startNode(t, 1000, func(c *Config) { c.ReadHeader = 50 * time.Millisecond })
	slow := make([]net.Conn, 20)
	for i := range slow {
		c, err := n.dial()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, "GET /a HTTP/1.1\r\nHost: "); err != nil {
			t.Fatal(err)
		}
		slow[i] = c
	}
	a := n.get(t, doHost, "/a")
	for range 100 { // on a busy machine it may be too slow itself
		if a.status != 0 {
			break
		}
		a = n.get(t, doHost, "/a")
	}
	if a.status != 200 {
		t.Errorf("another client got %d", a.status)
	}
	for _, c := range slow {
		if _, err := io.Copy(io.Discard, c); err != nil {
			t.Errorf("a slow client's connection ended with %v", err)
		}
	}
}

// TestSlowBodyOfARequest: a body that never comes does not hold the connection.
// A machine on which even the head comes too late gets more time for it.
func TestSlowBodyOfARequest(t *testing.T) {
	var got []byte
	for limit := 50 * time.Millisecond; len(got) == 0 && limit <= 5*time.Second; limit *= 10 {
		n := startNode(t, 1000, func(c *Config) { c.ReadHeader = limit })
		c, err := n.dial()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, _ = io.WriteString(c, "GET /a HTTP/1.1\r\nHost: "+doHost+"\r\nContent-Length: 100000\r\n\r\nx") // it may be closed by now
		got, _ = io.ReadAll(c)                                                                             // the end may be a reset: the body was not read
	}
	if !bytes.HasPrefix(got, []byte("HTTP/1.1 400 Bad Request")) {
		t.Errorf("got %.60q", got)
	}
}

// TestNoQueryAnywhere: a signed query shows in no log and no answer.
func TestNoQueryAnywhere(t *testing.T) {
	n := startNode(t, 1000, nil)
	n.source.errs = []error{nil, storage.ErrUpstream, storage.ErrBusy}
	var bodies strings.Builder
	for _, target := range []string{"/ok?P4=secret&cacheHostOrigin=" + doHost, "/lost?P4=secret", "/busy?P4=secret", "/bad%00?P4=secret", "/x?P4=secret&cacheHostOrigin=other.example", "/x?cacheHostOrigin=other.example/secret"} {
		a := n.get(t, doHost, target)
		fmt.Fprintf(&bodies, "%v %s", a.header, a.body[:min(len(a.body), 400)])
	}
	if err := n.stop(); err != nil {
		t.Fatal(err)
	}
	if log := n.log.String(); strings.Contains(log, "secret") || !strings.Contains(log, `"path":"/ok"`) {
		t.Errorf("log:\n%s", log)
	}
	if strings.Contains(bodies.String(), "secret") {
		t.Errorf("answers:\n%s", bodies.String())
	}
}
