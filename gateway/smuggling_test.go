package gateway

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// smuggled is a request that nobody may see who reads what comes before it in
// the right way.
const smuggled = "GET /smuggled HTTP/1.1\r\nHost: " + doHost + "\r\n\r\n"

// smuggling are requests that two readers may take for different ones. Behind
// each comes smuggled, or it is within.
func smuggling() []struct{ name, raw string } {
	const line, host = "GET /a HTTP/1.1\r\n", "Host: " + doHost + "\r\n"
	length := fmt.Sprintf("Content-Length: %d\r\n", len(smuggled))
	chunk := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(smuggled), smuggled)
	const chunked = "Transfer-Encoding: chunked\r\n"
	return []struct{ name, raw string }{
		{"body by Content-Length", line + host + length + "\r\n" + smuggled},
		{"body by Content-Length, POST", "POST /a HTTP/1.1\r\n" + host + length + "\r\n" + smuggled},
		{"body by Content-Length, HEAD", "HEAD /a HTTP/1.1\r\n" + host + length + "\r\n" + smuggled},
		{"two lengths, alike", line + host + length + length + "\r\n" + smuggled},
		{"two lengths, both 0", line + host + "Content-Length: 0\r\nContent-Length: 0\r\n\r\n" + smuggled},
		{"two lengths in conflict", line + host + "Content-Length: 0\r\n" + length + "\r\n" + smuggled},
		{"two lengths in one line", line + host + "Content-Length: 0, " + length[16:] + "\r\n" + smuggled},
		{"two lengths, names in other case", line + host + "content-length: 0\r\nCONTENT-LENGTH: 0\r\n\r\n" + smuggled},
		{"signed length", line + host + "Content-Length: +0\r\n\r\n" + smuggled},
		{"negative length", line + host + "Content-Length: -1\r\n\r\n" + smuggled},
		{"hexadecimal length", line + host + "Content-Length: 0x0\r\n\r\n" + smuggled},
		{"length beyond 2^64", line + host + "Content-Length: 18446744073709551616\r\n\r\n" + smuggled},
		{"empty length", line + host + "Content-Length: \r\n\r\n" + smuggled},
		{"space before the colon", line + host + "Content-Length : 0\r\n\r\n" + smuggled},
		{"tab before the colon", line + host + "Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n" + smuggled},
		{"chunked", line + host + chunked + "\r\n" + chunk},
		{"chunked and a length of 0", line + host + chunked + "Content-Length: 0\r\n\r\n" + chunk},
		{"a length and chunked", line + host + length + chunked + "\r\n0\r\n\r\n" + smuggled},
		{"chunked twice", line + host + chunked + chunked + "\r\n0\r\n\r\n" + smuggled},
		{"chunked, chunked", line + host + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n" + smuggled},
		{"chunked, identity", line + host + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + smuggled},
		{"identity", line + host + "Transfer-Encoding: identity\r\n\r\n" + smuggled},
		{"xchunked", line + host + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + smuggled},
		{"chunked in quotes", line + host + "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n" + smuggled},
		{"chunked behind a vertical tab", line + host + "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n" + smuggled},
		{"chunked in HTTP/1.0", "GET /a HTTP/1.0\r\n" + host + chunked + "\r\n0\r\n\r\n" + smuggled},
		{"chunk size signed", line + host + chunked + "\r\n-1\r\n\r\n" + smuggled},
		{"chunk size too large", line + host + chunked + "\r\nfffffffffffffffff\r\n" + smuggled},
		{"chunk extension with LF", line + host + chunked + "\r\n0;x\n\r\n" + smuggled},
		{"chunk without its end", line + host + chunked + "\r\n1\r\nxx0\r\n\r\n" + smuggled},
		{"a trailer that is a length", line + host + chunked + "Trailer: Content-Length\r\n\r\n0\r\n" + length + "\r\n" + smuggled},
		{"folded Transfer-Encoding", line + host + "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n" + smuggled},
		{"folded line", line + host + "X: a\r\n b\r\n\r\n" + smuggled},
		{"folded by a tab", line + host + "X: a\r\n\tb\r\n\r\n" + smuggled},
		{"folded first line", line + " " + host + "\r\n" + smuggled},
		{"LF alone", strings.ReplaceAll(line+host+"\r\n", "\r\n", "\n") + smuggled},
		{"LF alone behind the request line", "GET /a HTTP/1.1\n" + host + "\r\n" + smuggled},
		{"LF alone behind a field", line + host + "X: y\nContent-Length: 0\r\n\r\n" + smuggled},
		{"LF alone at the end", line + host + "\n" + smuggled},
		{"LF and a body", line + host + length + "\n" + smuggled},
		{"CR alone behind the request line", "GET /a HTTP/1.1\r" + host + "\r\n" + smuggled},
		{"CR alone in a value", line + host + "X: y\rContent-Length: 0\r\n\r\n" + smuggled},
		{"CR alone at the end", line + host + "\r" + smuggled},
		{"CR CR LF", line + host + "X: y\r\r\n\r\n" + smuggled},
		{"NUL in a value", line + host + "X: y\x00z\r\n\r\n" + smuggled},
		{"NUL in a name", line + host + "X\x00: y\r\n\r\n" + smuggled},
		{"NUL in the target", "GET /a\x00 HTTP/1.1\r\n" + host + "\r\n" + smuggled},
		{"control character in a value", line + host + "X: y\x01z\r\n\r\n" + smuggled},
		{"name of other letters", line + host + "X-\xc3\xa4: y\r\n\r\n" + smuggled},
		{"empty name", line + host + ": y\r\n\r\n" + smuggled},
		{"line without a colon", line + host + "nothing\r\n\r\n" + smuggled},
		{"no Host", line + "\r\n" + smuggled},
		{"two Hosts", line + host + "Host: other.example\r\n\r\n" + smuggled},
		{"two Hosts, alike", line + host + host + "\r\n" + smuggled},
		{"Host with a path", line + "Host: " + doHost + "/x\r\nConnection: close\r\n\r\n" + smuggled},
		{"Host with a space", line + "Host: " + doHost + " x\r\n\r\n" + smuggled},
		{"target with a space", "GET /a b HTTP/1.1\r\n" + host + "\r\n" + smuggled},
		{"no version", "GET /a\r\n" + host + "\r\n" + smuggled},
		{"version 1.1x", "GET /a HTTP/1.1x\r\n" + host + "\r\n" + smuggled},
		{"version 2.0", "GET /a HTTP/2.0\r\n" + host + "\r\n" + smuggled},
		{"method of other signs", "G@T /a HTTP/1.1\r\n" + host + "\r\n" + smuggled},
		{"tabs in the request line", "GET\t/a\tHTTP/1.1\r\n" + host + "\r\n" + smuggled},
		{"long head", line + host + "X: " + strings.Repeat("y", 64<<10) + "\r\n\r\n" + smuggled},
		{"many lines", line + host + strings.Repeat("X: y\r\n", 10<<10) + "\r\n" + smuggled},
		{"garbage behind a request", line + host + "Connection: keep-alive, x\r\n\r\n\x16\x03\x01\r\n\r\n" + smuggled},
		{"a request cut short by another", "GET /a HTTP/1.1\r\nHost: a" + smuggled},
		{"line end in the path", request("GET", doHost, "/a%0d%0aX:%20y")},
		{"line end in cacheHostOrigin", request("GET", "cache", "/a?cacheHostOrigin="+doHost+"%0d%0aX:%20y")},
		{"LF in the query", "GET /a?b=\nX: HTTP/1.1\r\n" + host + "\r\n" + smuggled},
	}
}

// way is one of the ways in which requests are read.
type way struct {
	name string
	dial func(t *testing.T) net.Conn
	// first is sent and answered before.
	first string
}

// TestSmuggling: each of them is refused and ends its connection, by whoever
// reads it; nothing behind or within it is served.
func TestSmuggling(t *testing.T) {
	limits := func(c *Config) { c.ReadHeader, c.AccessLog = 3*time.Second, nil }
	plain := startNode(t, 100, limits)
	var clients *tls.Config
	secret := startNode(t, 100, func(c *Config) {
		limits(c)
		clients = c.underTLS(t)
	})
	secret.client = clients
	overTCP := func(t *testing.T) net.Conn { return dial(t, plain) }
	overTLS := func(t *testing.T) net.Conn { return dial(t, secret) }
	const handOver = "GET /first HTTP/1.1\r\nHost: " + doHost + "\r\nConnection: keep-alive, x\r\n\r\n"
	ways := []way{{"http1", overTCP, ""}, {"net/http", overTCP, handOver}, {"TLS", overTLS, ""}, {"TLS, net/http", overTLS, handOver}}
	table := &strings.Builder{}
	fmt.Fprintf(table, "%-34s", "case")
	for _, w := range ways {
		fmt.Fprintf(table, " | %-20s", w.name)
	}
	for _, tt := range smuggling() {
		fmt.Fprintf(table, "\n%-34s", tt.name)
		for _, w := range ways {
			answers, closed := converse(t, w, tt.raw)
			cell := strings.Join(answers, " ")
			if closed {
				cell += ", closed"
			}
			fmt.Fprintf(table, " | %-20s", cell)
			ok := closed && len(answers) <= 1
			if tt.name == "garbage behind a request" { // which is one itself
				ok = closed && len(answers) == 2 && answers[0] == "200"
				answers = answers[1:]
			}
			for _, a := range answers {
				ok = ok && slices.Contains([]string{"400", "403", "405", "431", "501", "505"}, a)
			}
			if !ok {
				t.Errorf("%s by %s: %s", tt.name, w.name, cell)
			}
		}
	}
	t.Logf("\n%s", table)
	for _, n := range []*node{plain, secret} {
		for _, r := range n.source.requests() {
			if strings.Contains(r.Ref.Path, "smuggled") {
				t.Errorf("served %s", r.Ref)
			}
		}
	}
}

// converse sends raw as one client does and returns the statuses of what is
// answered, and whether the connection was closed.
func converse(t *testing.T, w way, raw string) (answers []string, closed bool) {
	t.Helper()
	c := w.dial(t)
	defer c.Close()
	r := bufio.NewReader(c)
	if w.first != "" {
		if _, err := io.WriteString(c, w.first); err != nil {
			t.Fatal(err)
		}
		if a := readAnswer(r, "GET"); a.status != 200 {
			t.Fatalf("%s: %d %v", w.name, a.status, a.err)
		}
	}
	if _, err := io.WriteString(c, raw); err != nil && !errors.Is(err, net.ErrClosed) {
		t.Logf("%s: %v", w.name, err) // the node has closed before all of it was sent
	}
	method, _, _ := strings.Cut(raw, " ")
	if err := c.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	for {
		resp, err := http.ReadResponse(r, &http.Request{Method: method})
		if err != nil {
			return answers, !isTimeout(err)
		}
		answers = append(answers, fmt.Sprint(resp.StatusCode))
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			return answers, !isTimeout(err)
		}
		if err := resp.Body.Close(); err != nil {
			t.Fatal(err)
		}
		method = "GET"
	}
}

func isTimeout(err error) bool {
	n, ok := errors.AsType[net.Error](err)
	return ok && n.Timeout()
}

// FuzzScreen: what passes is the same however it comes, is a beginning of what
// came, and has no line that two readers see differently.
func FuzzScreen(f *testing.F) {
	for _, tt := range smuggling() {
		f.Add([]byte(tt.raw), 7)
	}
	f.Fuzz(func(t *testing.T, raw []byte, part int) {
		whole, pieces := new(screen), new(screen)
		n := whole.pass(raw)
		src := bytes.NewReader(raw)
		got, err := io.ReadAll(readerOf(func(p []byte) (int, error) {
			return pieces.read(p[:min(len(p), 1+part&63)], src.Read)
		}))
		want := string(raw[:n])
		if n < len(raw) {
			want += refused
		}
		if err != nil || string(got) != want {
			t.Fatalf("%q in pieces, %q whole, %v", got, want, err)
		}
		passed := raw[:n]
		for i, c := range passed {
			if c == 0 || c == '\n' && (i == 0 || passed[i-1] != '\r') || c == '\r' && i+1 < len(passed) && passed[i+1] != '\n' {
				t.Fatalf("%q passes", passed)
			}
		}
		if bytes.Contains(passed, []byte("\r\n ")) || bytes.Contains(passed, []byte("\r\n\t")) {
			t.Fatalf("%q passes", passed)
		}
	})
}
