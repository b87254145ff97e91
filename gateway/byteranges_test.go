package gateway

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"

	"github.com/mccd/mccd/storage"
)

// part is one part of a multipart answer.
type part struct {
	contentRange, kind string
	body               []byte
}

// partsOf takes a multipart/byteranges body apart; nil where the answer is none.
func partsOf(h http.Header, body []byte) ([]part, error) {
	kind, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil || kind != "multipart/byteranges" {
		return nil, nil //nolint:nilerr // another kind of answer
	}
	var parts []part
	r := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	for {
		p, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			return parts, nil
		}
		if err != nil {
			return nil, err
		}
		b, err := io.ReadAll(p)
		if err != nil {
			return nil, err
		}
		parts = append(parts, part{p.Header.Get("Content-Range"), p.Header.Get("Content-Type"), b})
	}
}

// TestMultipart: several ranges in profile http, by both readers of requests,
// with runs that come in pieces, and the connection is used again.
func TestMultipart(t *testing.T) {
	t.Run("plain", func(t *testing.T) { testMultipart(t, false) })
	t.Run("TLS", func(t *testing.T) { testMultipart(t, true) })
}

func testMultipart(t *testing.T, secret bool) {
	const size = 300_000
	var clients *tls.Config
	n := startNode(t, size, func(c *Config) {
		if secret {
			clients = c.underTLS(t)
		}
	})
	n.client = clients
	var sixteen []string
	for i := range maxRanges {
		sixteen = append(sixteen, fmt.Sprintf("%d-%d", i*1000, i*1000+9))
	}
	for _, tt := range []struct {
		ranges string
		want   [][2]int // none: the answer is no multipart
	}{
		{"0-0,-1", [][2]int{{0, 1}, {size - 1, size}}},
		{"200000-,0-99999", [][2]int{{200_000, size}, {0, 100_000}}},
		{"7-8,99999999-,20-29", [][2]int{{7, 9}, {20, 30}}},
		{"99999999-,20-29,7-8", [][2]int{{20, 30}, {7, 9}}},
		{"99999999-,20-29", nil},
		{strings.Join(sixteen, ","), nil},
	} {
		for _, hand := range []string{"", "Connection: keep-alive, x\r\n"} { // the second is net/http's to read
			for _, every := range []step{{}, {max: 7000}, {max: 5000, early: true}} {
				n.source.mu.Lock()
				n.source.every = every
				if strings.HasPrefix(tt.ranges, "99999999-") {
					n.source.errs = []error{storage.ErrRange} // a source that goes by the first range
				}
				n.source.mu.Unlock()
				c := dial(t, n)
				r := newReader(c)
				ask(t, c, "GET /f HTTP/1.1\r\nHost: "+httpHost+"\r\n"+hand+"Range: bytes="+tt.ranges+"\r\n\r\n")
				a := readAnswer(r, "GET")
				parts, err := partsOf(a.header, a.body)
				if a.err != nil || err != nil || a.status != 206 || a.header.Get("Content-Length") != fmt.Sprint(len(a.body)) {
					t.Fatalf("%s: %d %v %v %v", tt.ranges, a.status, a.header, a.err, err)
				}
				want := tt.want
				switch {
				case tt.ranges == "99999999-,20-29":
					if parts != nil || string(a.body) != string(n.source.data[20:30]) || a.header.Get("Content-Range") != "bytes 20-29/300000" {
						t.Errorf("%s: %v %q", tt.ranges, a.header, a.body)
					}
				case want == nil:
					for i := range maxRanges {
						want = append(want, [2]int{i * 1000, i*1000 + 10})
					}
					fallthrough
				default:
					if len(parts) != len(want) || a.header.Get("Content-Range") != "" {
						t.Fatalf("%s: %d parts, %v", tt.ranges, len(parts), a.header)
					}
				}
				for i, p := range parts {
					from, to := want[i][0], want[i][1]
					if p.contentRange != fmt.Sprintf("bytes %d-%d/%d", from, to-1, size) || p.kind != "image/gif" || !bytes.Equal(p.body, n.source.data[from:to]) {
						t.Errorf("%s: part %d is %s %s, %d bytes", tt.ranges, i, p.contentRange, p.kind, len(p.body))
					}
				}
				ask(t, c, "GET /f HTTP/1.1\r\nHost: "+httpHost+"\r\n\r\n")
				if a := readAnswer(r, "GET"); a.err != nil || !bytes.Equal(a.body, n.source.data) {
					t.Errorf("%s: the connection's next answer: %d, %d bytes, %v", tt.ranges, a.status, len(a.body), a.err)
				}
			}
		}
	}
	if sent := n.metric(t, "mccd_gateway_sendfile_bytes_total"); hasSendfile && !secret && sent == 0 {
		t.Error("no byte went by sendfile")
	}
}

// TestMultipartIsCut: a part that fails closes the connection.
func TestMultipartIsCut(t *testing.T) {
	n := startNode(t, 1000, nil)
	n.source.mu.Lock()
	n.source.steps = []step{{}, {err: storage.ErrVersionGone}}
	n.source.mu.Unlock()
	a := n.get(t, httpHost, "/f", "Range: bytes=0-9,20-29")
	if a.status != 206 || a.err == nil {
		t.Errorf("%d, %d bytes, %v", a.status, len(a.body), a.err)
	}
}

// TestResumeOfAVersionThatIsGone: it gets no answer (docs/clients.md section 8);
// who wants the whole object gets 503.
func TestResumeOfAVersionThatIsGone(t *testing.T) {
	n := startNode(t, 1000, nil)
	gone := func() {
		n.source.mu.Lock()
		n.source.errs = []error{storage.ErrVersionGone, storage.ErrVersionGone, storage.ErrVersionGone}
		n.source.mu.Unlock()
	}
	for _, hand := range []string{"X: y", "Connection: x"} {
		gone()
		if a := n.get(t, doHost, "/f", hand, "User-Agent: "+liteAgent, "Range: bytes=10-1999"); a.status != 0 || a.err == nil {
			t.Errorf("resume: %d %v", a.status, a.err)
		}
	}
	gone()
	if a := n.get(t, doHost, "/f"); a.status != 503 {
		t.Errorf("whole: %d", a.status)
	}
	gone()
	if a := n.get(t, httpHost, "/f", "Range: bytes=10-1999"); a.status != 503 {
		t.Errorf("http: %d", a.status)
	}
	if got := n.metric(t, "mccd_gateway_cut_responses_total", "version"); got != 2 {
		t.Errorf("%v responses counted as cut", got)
	}
}

// TestNamesAreCanonical: Lite matches names by case (docs/clients.md section 4),
// however the origin wrote them.
func TestNamesAreCanonical(t *testing.T) {
	n := startNode(t, 1000, nil)
	n.source.object.Header = http.Header{"content-type": {"image/gif"}, "content-length": {"7"}, "x-ms-version": {"1"}, "Etag": {`"v1"`}}
	for _, hand := range []string{"", "Connection: x, close\r\n"} {
		c := dial(t, n)
		ask(t, c, "GET /f HTTP/1.0\r\nHost: "+doHost+"\r\n"+hand+"Range: bytes=0-0\r\n\r\n")
		raw, err := io.ReadAll(c)
		head, _, _ := strings.Cut(string(raw), "\r\n\r\n")
		if err != nil || !strings.Contains(head, "\r\nContent-Length: 1\r\n") && !strings.HasSuffix(head, "\r\nContent-Length: 1") || !strings.Contains(head, "\r\nContent-Type: image/gif") ||
			!strings.Contains(head, "\r\nX-Ms-Version: 1") || !strings.Contains(head, "\r\nETag: \"v1\"") || strings.Contains(head, "content-length") {
			t.Errorf("%v\n%s", err, raw)
		}
		if !strings.Contains(head, "\r\nX-CID: id-1") || !strings.Contains(head, "\r\nX-CCC: none") || !strings.Contains(head, "\r\nContent-Range: bytes 0-0/1000") {
			t.Errorf("%s", head)
		}
	}
}
