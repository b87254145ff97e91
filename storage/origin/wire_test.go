package origin

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/faultorigin"
)

// record answers every connection at listener with a 200 of one byte and
// gives the head of each request.
func record(t *testing.T) (addr string, heads <-chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	out := make(chan string, 100)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(20 * time.Second))
				br := bufio.NewReader(c)
				var head strings.Builder
				for !strings.HasSuffix(head.String(), "\r\n\r\n") {
					line, err := br.ReadString('\n')
					if err != nil {
						return
					}
					head.WriteString(line)
				}
				out <- head.String()
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx")
			}()
		}
	}()
	return l.Addr().String(), out
}

func TestTargetIsSentByteForByte(t *testing.T) {
	addr, heads := record(t)
	b := newBed(t, Config{})
	b.rule.Connect = addr
	tests := []struct{ path, query string }{
		{"/", ""},
		{"/a%2fB%2Fc", ""},
		{"/a", "P1=1&P2=2&P4=aB%2bc%2fd%3d%3d"},
		{"/a//b/../c/./d", ""},
		{"//double/first", "x=//y"},
		{"/a;b=c,d!$&'()*+:@", "a=?/:@!$'()*+,;[]"},
		{"/{guid}|^`\"<>\\", "q={}|^`\"<>\\"},
		{"/\xff\xfe\u00e4", "\xff"},
		{"/a%zz%", "%zz%"},
		{"/a", "&&==&cacheHostOrigin"},
		{"/http://other.example.com/x", ""},
		{"/*", ""},
	}
	for _, tt := range tests {
		want := tt.path
		if tt.query != "" {
			want += "?" + tt.query
		}
		resp, err := b.fetch(t, Request{Ref: storage.Ref{Scheme: "http", Host: host, Path: tt.path, Query: tt.query}, Whole: true})
		if err != nil {
			t.Errorf("%q: %v", want, err)
			continue
		}
		resp.Body.Close()
		if line, _, _ := strings.Cut(<-heads, "\r\n"); line != "GET "+want+" HTTP/1.1" {
			t.Errorf("sent %q, want target %q", line, want)
		}
	}
}

func TestTargetsThatCannotBeSentUnchangedAreRefused(t *testing.T) {
	b := newBed(t, Config{})
	for _, r := range []storage.Ref{
		{Scheme: "http", Host: host, Path: "/a b"},
		{Scheme: "http", Host: host, Path: "/a\r\nX: y"},
		{Scheme: "http", Host: host, Path: "/a", Query: "x y"},
		{Scheme: "http", Host: host, Path: "/a", Query: "x\x00"},
		{Scheme: "http", Host: host, Path: "/a\x7f"},
		{Scheme: "http", Host: host, Path: "/a#b"},
		{Scheme: "http", Host: host, Path: "/a?b"},
		{Scheme: "http", Host: host, Path: "a"},
		{Scheme: "http", Host: host, Path: ""},
		{Scheme: "http", Host: host, Path: "//a%zz"},
		{Scheme: "http", Host: host, Path: "//a|"},
		{Scheme: "ftp", Host: host, Path: "/a"},
		{Scheme: "http", Host: "", Path: "/a"},
		{Scheme: "http", Host: host + ":0", Path: "/a"},
		{Scheme: "http", Host: host + ":99999", Path: "/a"},
	} {
		_, err := b.client.Fetch(within(t), Request{Ref: r, Rule: b.rule, Whole: true})
		if !errors.Is(err, ErrRefused) {
			t.Errorf("%+q: error %v", r, err)
		}
	}
	if n := len(b.origin.Ledger().Entries()); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}

func TestHeadIsAFixedList(t *testing.T) {
	addr, heads := record(t)
	b := newBed(t, Config{Node: "node-7", Version: "1.2"})
	b.rule.Connect = addr
	v := storage.Version{Kind: storage.ValidatorETag, ETag: `"t"`, LastModified: "Wed, 01 Jan 2025 00:00:00 GMT"}
	for _, r := range []Request{{Span: span(0, 1), Revalidate: &v}, {Whole: true}} {
		resp, err := b.fetch(t, r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		lines := strings.Split(strings.TrimSuffix(<-heads, "\r\n\r\n"), "\r\n")[1:]
		slices.Sort(lines)
		want := []string{"Accept-Encoding: identity", "Accept: */*", "Host: " + host, "User-Agent: mccd/1.2", "Via: 1.1 node-7"}
		if !r.Whole {
			want = append(want, "Range: bytes=0-0", `If-None-Match: "t"`, "If-Modified-Since: "+v.LastModified)
		}
		slices.Sort(want)
		if !slices.Equal(lines, want) {
			t.Errorf("sent %q, want %q", lines, want)
		}
	}
}

// No answer on a kept connection: net/http would ask again by itself.
func TestNoSilentSecondTry(t *testing.T) {
	b := newBed(t, Config{}, faultorigin.Behaviour{Requests: []int{2}, Drop: true})
	resp, err := b.fetch(t, Request{Span: span(0, 1000)})
	if err != nil {
		t.Fatal(err)
	}
	right(t, resp, "1", span(0, 1000))
	_, err = b.fetch(t, Request{Span: span(1000, 2000)})
	if !errors.Is(err, ErrNoAnswer) || !errors.Is(err, ErrBroken) || !errors.Is(err, storage.ErrUpstream) {
		t.Errorf("error %v, want %v", err, ErrNoAnswer)
	}
	l := b.origin.Ledger()
	if err := l.WaitDone(within(t), path, 2); err != nil {
		t.Fatal(err)
	}
	es := l.Requests(path)
	if len(es) != 2 || es[0].Remote != es[1].Remote {
		t.Errorf("want two requests on one connection: %+v", es)
	}
	resp, err = b.fetch(t, Request{Span: span(1000, 2000)})
	if err != nil {
		t.Fatal(err)
	}
	right(t, resp, "1", span(1000, 2000))
	if got := l.MaxTimes(path); got != 1 {
		t.Errorf("a byte was sent %d times", got)
	}
}

// broken is a connection whose next write fails before a byte of it is sent.
type broken struct {
	net.Conn
	fail bool
}

func (b *broken) Write(p []byte) (int, error) {
	if b.fail {
		return 0, errors.New("connection is gone")
	}
	return b.Conn.Write(p)
}

func TestRequestThatNeverLeftIsSentOnANewConnection(t *testing.T) {
	b := newBed(t, Config{})
	var last *broken
	dials := 0
	dial := b.client.transports[storage.WayDirect].DialContext
	b.client.transports[storage.WayDirect].DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		dials++
		counted := c.(*conn)
		last = &broken{Conn: counted.Conn}
		counted.Conn = last
		return counted, nil
	}
	for i := range int64(3) {
		resp, err := b.fetch(t, Request{Span: span(i*1000, i*1000+1000)})
		if err != nil {
			t.Fatal(err)
		}
		right(t, resp, "1", span(i*1000, i*1000+1000))
		last.fail = i == 0
	}
	if n := len(b.origin.Ledger().Requests(path)); n != 3 || dials != 2 {
		t.Errorf("%d requests over %d connections, want 3 over 2", n, dials)
	}
}

func TestConnectionsAreKept(t *testing.T) {
	b := newBed(t, Config{})
	remotes := make(map[string]bool)
	for i := range int64(5) {
		resp, err := b.fetch(t, Request{Span: span(i, i+100_000)})
		if err != nil {
			t.Fatal(err)
		}
		right(t, resp, "1", span(i, i+100_000))
	}
	for _, e := range b.origin.Ledger().Requests(path) {
		remotes[e.Remote] = true
	}
	if len(remotes) != 1 {
		t.Errorf("%d connections for requests one after the other", len(remotes))
	}
}

func TestTLSOriginIsCheckedByItsName(t *testing.T) {
	o := faultorigin.Config{TLS: true, Names: []string{host}}
	b := newBedOn(t, Config{}, o)
	r := ref()
	r.Scheme = "https"
	if _, err := b.fetch(t, Request{Ref: r, Whole: true}); !errors.Is(err, ErrConnect) {
		t.Errorf("unknown authority: %v", err)
	}
	b.client.transports[storage.WayDirect].TLSClientConfig.RootCAs = b.origin.CertPool()
	resp, err := b.fetch(t, Request{Ref: r, Whole: true})
	if err != nil {
		t.Fatal(err)
	}
	right(t, resp, "1", span(0, size))
	r.Host = "other.example.com"
	if _, err := b.fetch(t, Request{Ref: r, Rule: b.rule, Whole: true}); !errors.Is(err, ErrConnect) {
		t.Errorf("certificate for another name: %v", err)
	}
	if e := b.origin.Ledger().Requests(path); len(e) != 1 || e[0].Host != host {
		t.Errorf("ledger %+v", e)
	}
}

func TestEnvironmentProxyIsIgnored(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	t.Setenv("http_proxy", "http://127.0.0.1:1")
	b := newBed(t, Config{})
	resp, err := b.fetch(t, Request{Whole: true})
	if err != nil {
		t.Fatal(err)
	}
	right(t, resp, "1", span(0, size))
	if b.client.transports[storage.WayDirect].Proxy != nil {
		t.Error("a proxy function is set")
	}
}
