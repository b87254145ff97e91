package http1

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// exchangeOn sends raw in parts of at most part bytes and returns all that
// comes back until the server closes, or is silent after n answers.
func exchangeOn(t *testing.T, c net.Conn, raw string, part int) string {
	t.Helper()
	go func() {
		for len(raw) > 0 {
			n := min(part, len(raw))
			if _, err := io.WriteString(c, raw[:n]); err != nil {
				return
			}
			raw = raw[n:]
		}
	}()
	if err := c.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(c)
	if err != nil {
		t.Errorf("%v after %d bytes", err, len(all))
	}
	return string(all)
}

// normal returns answers without what may differ: the time and the order of
// header lines.
func normal(t *testing.T, raw string, methods []string) string {
	t.Helper()
	r := bufio.NewReader(strings.NewReader(raw))
	var out strings.Builder
	for _, method := range methods {
		resp, err := http.ReadResponse(r, &http.Request{Method: method})
		if err != nil {
			fmt.Fprintf(&out, "no answer: %v\n", err)
			break
		}
		body, err := io.ReadAll(resp.Body)
		_, dated := resp.Header["Date"]
		delete(resp.Header, "Date")
		var lines []string
		for name, values := range resp.Header {
			lines = append(lines, fmt.Sprintf("%s: %q", name, values))
		}
		slices.Sort(lines)
		fmt.Fprintf(&out, "%s %s close=%v length=%d %v dated=%v\n%s\n%.300q of %d, %v\n", resp.Proto, resp.Status, resp.Close,
			resp.ContentLength, resp.TransferEncoding, dated, strings.Join(lines, "\n"), body, len(body), err)
	}
	rest, _ := io.ReadAll(r)
	fmt.Fprintf(&out, "rest %q\n", rest)
	return out.String()
}

const (
	host   = "Host: h.test\r\n"
	finish = "GET /end HTTP/1.1\r\nHost: h.test\r\nConnection: close\r\n\r\n"
)

func get(target string, lines ...string) string {
	raw := "GET " + target + " HTTP/1.1\r\n" + host
	for _, line := range lines {
		raw += line + "\r\n"
	}
	return raw + "\r\n"
}

// corpus are conversations; handed tells which are for net/http to read.
var corpus = []struct {
	name, raw string
	handed    bool
}{
	{"plain", get("/a"), false},
	{"query", get("/a/b?x=1&y=%2f&cacheHostOrigin=o.test"), false},
	{"empty query", get("/a?"), false},
	{"escapes", get("/a%2Fb%20c?d"), false},
	{"broken escape", get("/a%zz"), true},
	{"odd path", get(`/a"<>^{}|b\c`), false},
	{"two slashes", get("//host/a"), false},
	{"dots", get("/a/../b/./c"), false},
	{"fragment", get("/a#b"), true},
	{"head", "HEAD /length HTTP/1.1\r\n" + host + "\r\n", false},
	{"head small", "HEAD /notype HTTP/1.1\r\n" + host + "\r\n", false},
	{"head chunks", "HEAD /chunks HTTP/1.1\r\n" + host + "\r\n", false},
	{"head empty", "HEAD /empty HTTP/1.1\r\n" + host + "\r\n", false},
	{"head from", "HEAD /from HTTP/1.1\r\n" + host + "\r\n", false},
	{"ranges", get("/a", "Range: bytes=0-1", "Range: bytes=5-9", "range: bytes=7-8"), false},
	{"names", get("/a", "MS-CV: x.1", "user-agent: u", "X_y: 1", "accept:*/*", "Empty:", "Spaces: \t a b \t"), false},
	{"pragma", get("/a", "Pragma: no-cache"), false},
	{"pragma and more", get("/a", "Pragma: no-cache", "Cache-Control: max-age=0"), false},
	{"keep-alive", get("/a", "Connection: Keep-Alive"), false},
	{"upgrade", get("/a", "Connection: Upgrade", "Upgrade: websocket"), true},
	{"connection list", get("/a", "Connection: keep-alive, x"), true},
	{"two connections", get("/a", "Connection: keep-alive", "Connection: close"), true},
	{"post", "POST /a HTTP/1.1\r\n" + host + "Content-Length: 5\r\n\r\nhello", true},
	{"body with get", "GET /a HTTP/1.1\r\n" + host + "Content-Length: 5\r\n\r\nhello", true},
	{"chunked get", "GET /a HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", true},
	{"both lengths", "GET /a HTTP/1.1\r\n" + host + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", true},
	{"expect", get("/a", "Expect: 100-continue"), true},
	{"trailer", get("/a", "Trailer: X"), true},
	{"options", "OPTIONS * HTTP/1.1\r\n" + host + "\r\n", true},
	{"connect", "CONNECT h.test:80 HTTP/1.1\r\n" + host + "\r\n", true},
	{"lower-case method", "get /a HTTP/1.1\r\n" + host + "\r\n", true},
	{"absolute", "GET http://o.test/a HTTP/1.1\r\n" + host + "\r\n", true},
	{"1.0", "GET /a HTTP/1.0\r\n" + host + "\r\n", true},
	{"2.0", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", true},
	{"1.2", "GET /a HTTP/1.2\r\n" + host + "\r\n", true},
	{"no host", "GET /a HTTP/1.1\r\nX: y\r\n\r\n", true},
	{"two hosts", get("/a", "Host: other.test"), true},
	{"same host twice", get("/a", "Host: h.test"), true},
	{"empty host", "GET /a HTTP/1.1\r\nHost:\r\n\r\n", true},
	{"odd host", "GET /a HTTP/1.1\r\nHost: a/b\r\n\r\n", true},
	{"host and port", "GET /a HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", false},
	{"bare lf", "GET /a HTTP/1.1\nHost: h.test\n\n", true},
	{"one bare lf", "GET /a HTTP/1.1\r\nHost: h.test\nX: y\r\n\r\n", true},
	{"bare cr", "GET /a HTTP/1.1\r\nHost: h.test\r\nX: a\rb\r\n\r\n", true},
	{"lf then crlf", "GET /a HTTP/1.1\r\nHost: h.test\n\r\n", true},
	{"leading crlf", "\r\nGET /a HTTP/1.1\r\n" + host + "\r\n", true},
	{"folded", "GET /a HTTP/1.1\r\n" + host + "X: a\r\n b\r\n\r\n", true},
	{"space in name", get("/a", "X : y"), true},
	{"no colon", get("/a", "xyz"), true},
	{"no name", get("/a", ": y"), true},
	{"control", get("/a", "X: a\x01b"), true},
	{"nul", get("/a", "X: a\x00b"), true},
	{"obs-text", get("/a", "X: a\xe9b"), true},
	{"two spaces", "GET  /a HTTP/1.1\r\n" + host + "\r\n", true},
	{"space in target", "GET /a b HTTP/1.1\r\n" + host + "\r\n", true},
	{"tab in target", "GET /a\tb HTTP/1.1\r\n" + host + "\r\n", true},
	{"no version", "GET /a\r\n" + host + "\r\n", true},
	{"tls", "\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", true},
	{"garbage", "hello\r\n\r\n", true},
	{"many lines", get("/a", slices.Repeat([]string{"X: y"}, maxLines+1)...), true},
	{"long", get("/a", "X: "+strings.Repeat("y", maxHead)), true},
	{"too long", get("/a", "X: "+strings.Repeat("y", 50<<10)), true},
	{"length", get("/length"), false},
	{"two headers", get("/two"), false},
	{"chunks", get("/chunks"), false},
	{"flush", get("/flush"), false},
	{"from", get("/from"), false},
	{"from chunks", get("/fromchunks"), false},
	{"big", get("/big"), false},
	{"empty", get("/empty"), false},
	{"204", get("/204"), false},
	{"304", get("/304"), false},
	{"short", get("/short"), false},
	{"much", get("/much"), false},
	{"close", get("/close"), false},
	{"status", get("/status"), false},
	{"no type", get("/notype"), false},
	{"abort", get("/abort"), false},
	{"pipelined", get("/length") + get("/chunks") + "HEAD /big HTTP/1.1\r\n" + host + "\r\n" + get("/from") + get("/304"), false},
	{"odd one in a pipeline", get("/length") + get("/a", "Content-Length: 0") + get("/length"), true},
}

// TestAsNetHTTP: every conversation goes as with net/http alone, however its
// bytes are split, and only odd ones are handed over.
func TestAsNetHTTP(t *testing.T) {
	g := newRig(t, behave, nil)
	for _, tt := range corpus {
		t.Run(tt.name, func(t *testing.T) {
			raw := tt.raw + finish
			methods := slices.Repeat([]string{"GET"}, 10)
			for i, part := range strings.Split(tt.raw, "HTTP/1.1\r\n")[:strings.Count(tt.raw, "HTTP/1.1\r\n")] {
				if strings.Contains(part, "HEAD ") {
					methods[i] = "HEAD"
				}
			}
			want := normal(t, exchangeOn(t, g.dialPlain(t), raw, len(raw)), methods)
			for _, part := range []int{len(raw), 1, 7} {
				if part == 1 && len(raw) > 4<<10 {
					continue
				}
				got := normal(t, exchangeOn(t, g.dial(t), raw, part), methods)
				if got != want {
					t.Errorf("in parts of %d:\n%s\nnet/http:\n%s", part, got, want)
				}
				handed := len(g.handed) > 0
				for len(g.handed) > 0 {
					<-g.handed
				}
				if handed != tt.handed {
					t.Errorf("in parts of %d: handed over: %v", part, handed)
				}
			}
		})
	}
}

// TestSplitOnce: a request comes in two parts, split at each of its bytes.
func TestSplitOnce(t *testing.T) {
	g := newRig(t, behave, nil)
	raw := get("/a?b", "Range: bytes=0-1", "X: y") + finish
	want := ""
	for at := 1; at < len(raw); at++ {
		c := g.dial(t)
		go func() {
			_, _ = io.WriteString(c, raw[:at])
			_, _ = io.WriteString(c, raw[at:])
		}()
		all, err := io.ReadAll(c)
		got := normal(t, string(all), []string{"GET", "GET", "GET"})
		if want == "" {
			want = got
		}
		if err != nil || got != want || bytes.Count(all, []byte("HTTP/1.1 200")) != 2 {
			t.Fatalf("split at %d: %v\n%s", at, err, got)
		}
	}
	if len(g.handed) > 0 {
		t.Error("handed over")
	}
}
