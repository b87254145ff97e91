package testcluster_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/mccd/mccd/cmd/mccd/node"
	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/catalogue"
	"github.com/mccd/mccd/test/faultorigin"
	"github.com/mccd/mccd/test/testcluster"
)

// health are the two objects by which operators test a cache (docs/clients.md
// section 1).
func health() []struct{ host, path, kind string } {
	return []struct{ host, path, kind string }{
		{"au.download.windowsupdate.com", "/mscomtest/wuidt.gif", "image/gif"},
		{"dl.delivery.mp.microsoft.com", "/filestreamingservice/files/7bc846e0-af9c-49be-a03d-bb04428c9bb5/Microsoft.png", "image/png"},
	}
}

// The official tests of a cache pass at each node, the second from cache; the
// answers tell who gave them.
func TestHealthObjects(t *testing.T) {
	const wuidt = 969_710
	var objects []faultorigin.Object
	for _, h := range health() {
		objects = append(objects, faultorigin.Object{Path: h.path, Size: wuidt, Header: http.Header{"Content-Type": {h.kind}}})
	}
	const listed = "/d/msdownload/update/v3/static/trustedr/en/AuthRootStl.cab"
	objects = append(objects, faultorigin.Object{Path: listed, Size: 5000, Header: http.Header{"Cache-Control": {"max-age=3600"}}})
	o := faultorigin.New(faultorigin.Config{Objects: objects})
	t.Cleanup(o.Close)
	rule := catalogue.Defaults(storage.ProfileDO)
	rule.Name, rule.Connect, rule.AllowPrivate = "health", o.Addr(), true
	rule.Hosts = []string{"*.windowsupdate.com", "*.mp.microsoft.com"}
	c := testcluster.New(t, testcluster.Config{Nodes: 2, Origins: []storage.Rule{rule}})
	ctx := timeout(t)
	for _, h := range health() {
		for i, n := range []*testcluster.Node{c.Nodes[0], c.Nodes[1], c.Nodes[0]} {
			resp, err := ask(ctx, client(), n, "cache.example", h.path+"?cacheHostOrigin="+h.host, "")
			if err != nil {
				t.Fatal(err)
			}
			if err := check(resp.Body, h.path, faultorigin.DefaultVersion, 0, wuidt); err != nil {
				t.Errorf("%s at node %d: %v", h.path, i, err)
			}
			resp.Body.Close()
			if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != h.kind || resp.ContentLength != wuidt ||
				resp.Header.Get("X-Cid") != n.ID() || resp.Header.Get("X-Ccc") == "" || resp.Header.Get("Accept-Ranges") != "bytes" {
				t.Errorf("%s at node %d: %s %v", h.path, i, resp.Status, resp.Header)
			}
		}
		onceEach(t, o, h.path, wuidt)
	}
	for range 3 { // what is never served without asking (docs/clients.md section 7)
		resp, err := ask(ctx, client(), c.Nodes[0], "ctldl.windowsupdate.com", listed, "")
		if err != nil {
			t.Fatal(err)
		}
		if err := check(resp.Body, listed, faultorigin.DefaultVersion, 0, 5000); err != nil {
			t.Error(err)
		}
		resp.Body.Close()
	}
	if asked := len(o.Ledger().Requests(listed)); asked != 3 {
		t.Errorf("the origin was asked %d times for %s, want 3", asked, listed)
	}
	for _, n := range c.Nodes {
		resp, err := ask(ctx, client(), n, n.Addr(), "/summary", "")
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		for _, word := range []string{`"hitBytes":`, `"missBytes":`, `"egressBytes":`, `"hitRatioBytes":`} {
			if resp.StatusCode != 200 || !strings.Contains(string(body), word) {
				t.Errorf("/summary: %s %s", resp.Status, body)
			}
		}
	}
}

// Several ranges of what no node has, across chunks, from a node that is not
// their owner: each part is right, and nothing is fetched twice.
func TestSeveralRanges(t *testing.T) {
	const large = 3 * storage.ChunkSize
	o, c := served(t, testcluster.Config{}, faultorigin.Object{Path: "/m", Size: large})
	ctx := timeout(t)
	spans := []storage.Span{
		{Off: large - 10, End: large}, {Off: 0, End: 100_000}, {Off: storage.ChunkSize - 5, End: storage.ChunkSize + 5}, {Off: 2 << 20, End: 3 << 20},
	}
	for _, n := range c.Nodes {
		resp, err := ask(ctx, client(), n, host, "/m", "bytes=-10,0-99999,8388603-8388612,2097152-3145727")
		if err != nil {
			t.Fatal(err)
		}
		_, params, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
		if err != nil || resp.StatusCode != 206 || resp.ContentLength < 0 {
			t.Fatalf("%s %v %v", resp.Status, resp.Header, err)
		}
		parts := multipart.NewReader(resp.Body, params["boundary"])
		for _, span := range spans {
			p, err := parts.NextRawPart()
			if err != nil {
				t.Fatal(err)
			}
			if want := fmt.Sprintf("bytes %d-%d/%d", span.Off, span.End-1, large); p.Header.Get("Content-Range") != want {
				t.Errorf("part %v, want %s", p.Header, want)
			}
			if err := check(p, "/m", faultorigin.DefaultVersion, span.Off, span.Len()); err != nil {
				t.Error(err)
			}
		}
		if _, err := parts.NextRawPart(); err != io.EOF {
			t.Errorf("after the last part: %v", err)
		}
		resp.Body.Close()
	}
	if times := o.Ledger().MaxTimes("/m"); times != 1 {
		t.Errorf("the origin sent some bytes %d times", times)
	}
}

// Names that an origin writes in lower case go out in canonical form, on a miss,
// from a peer and on a hit: Lite matches them by case (docs/clients.md section
// 4).
func TestNamesOfALowerCaseOrigin(t *testing.T) {
	o, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.Close() })
	go func() {
		for {
			c, err := o.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					_, _ = io.WriteString(c, "HTTP/1.1 200 fine\r\ncontent-length: 5\r\ncontent-type: text/x\r\netag: \"1\"\r\n"+
						"last-modified: Mon, 01 Jun 2026 10:00:00 GMT\r\ncache-control: max-age=60\r\nx-ms-thing: y\r\nconnection: close\r\n\r\nhello")
				}
			}()
		}
	}()
	rule := catalogue.Defaults(storage.ProfileDO)
	rule.Name, rule.Hosts, rule.Connect, rule.AllowPrivate = "lower", []string{updates}, o.Addr().String(), true
	c := testcluster.New(t, testcluster.Config{Nodes: 2, Origins: []storage.Rule{rule}})
	for _, n := range []*testcluster.Node{c.Nodes[0], c.Nodes[1], c.Nodes[0]} {
		raw := rawGet(timeout(t), t, n.Addr(), "", updates, "/x")
		for _, line := range []string{"\r\nContent-Length: 5\r\n", "\r\nContent-Type: text/x\r\n", "\r\nETag: \"1\"\r\n", "\r\nX-Ms-Thing: y\r\n", "\r\n\r\nhello"} {
			if !strings.Contains(raw, line) {
				t.Errorf("no %q in %q", line, raw)
			}
		}
	}
}

// A balancer's PROXY header tells a whole node who asks.
func TestBehindABalancer(t *testing.T) {
	o := faultorigin.New(faultorigin.Config{Objects: []faultorigin.Object{{Path: "/p", Size: 1000}}})
	t.Cleanup(o.Close)
	rule := catalogue.Defaults(storage.ProfileDO)
	rule.Name, rule.Hosts, rule.Connect, rule.AllowPrivate = "p", []string{updates}, o.Addr(), true
	c := testcluster.New(t, testcluster.Config{Nodes: 1, Origins: []storage.Rule{rule}, Edit: func(_ int, cfg *node.Config) {
		cfg.ProxyProtocol = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		cfg.AllowClients = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
		cfg.Limits.Egress = 64 << 20
	}})
	for from, want := range map[string]string{"192.0.2.7": "HTTP/1.1 200 ", "198.51.100.7": "HTTP/1.1 503 "} {
		raw := rawGet(timeout(t), t, c.Nodes[0].Addr(), "PROXY TCP4 "+from+" 10.0.0.1 4711 80\r\n", updates, "/p")
		if !strings.HasPrefix(raw, want) {
			t.Errorf("%s: %.60q", from, raw)
		}
	}
}

// rawGet returns a whole answer as it comes.
func rawGet(ctx context.Context, t *testing.T, addr, before, host, path string) string {
	t.Helper()
	c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, before+"GET "+path+" HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
