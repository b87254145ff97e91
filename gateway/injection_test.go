package gateway

import (
	"crypto/tls"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/mccd/mccd/storage"
)

// TestHeaderInjection: nothing that an origin says in a header, in several
// ranges, or with a failure, begins a line of an answer.
func TestHeaderInjection(t *testing.T) {
	evil := http.Header{
		"Content-Type": {"image/gif\r\nInjected: 1\r\n\r\nInjected: 2"}, "X-A": {"a\nInjected: 3"}, "X-B": {"b\rInjected: 4"},
		"X-C: y\r\nInjected": {"5"}, "Via": {"1.1 up\r\nInjected: 6"}, "Cache-Status": {"up\r\nInjected: 7"}, "ETag\nInjected": {"8"},
		"Etag": {"\"v1\"\r\nInjected: 9"}, "": {"Injected: 10"}, "X D": {"Injected: 11"},
	}
	answers := map[string]func(s *fakeSource){
		"content": func(s *fakeSource) { s.object.Header = evil },
		"failure": func(*fakeSource) {},
		"passed": func(s *fakeSource) {
			s.pass = func(string, storage.Ref, http.Header) (*http.Response, error) {
				return &http.Response{StatusCode: 200, Status: "200 OK\r\nInjected: 12", Header: evil.Clone(), ContentLength: 2, Body: io.NopCloser(strings.NewReader("ok"))}, nil
			}
		},
	}
	failing := map[string][]error{"failure": {&storage.StatusError{Code: 404, Header: evil}}, "passed": {storage.ErrUncacheable}}
	for name, prepare := range answers {
		for _, secret := range []bool{false, true} {
			var clients *tls.Config
			n := startNode(t, 1000, func(c *Config) {
				prepare(c.Source.(*fakeSource))
				if secret {
					clients = c.underTLS(t)
				}
			})
			n.client = clients
			for _, lines := range []string{"", "Connection: x\r\n", "Range: bytes=0-1,5-6\r\n", "Connection: x\r\nRange: bytes=0-1,5-6\r\n", "If-None-Match: *\r\n"} {
				n.source.mu.Lock()
				n.source.errs = slices.Clone(failing[name])
				n.source.mu.Unlock()
				c := dial(t, n)
				ask(t, c, "GET /a HTTP/1.1\r\nHost: "+httpHost+"\r\nConnection: close\r\n"+lines+"\r\n")
				raw, err := io.ReadAll(c)
				if err != nil || !strings.HasPrefix(string(raw), "HTTP/1.1 ") {
					t.Fatalf("%s, %q: %v, %q", name, lines, err, raw)
				}
				for line := range strings.FieldsFuncSeq(string(raw), func(r rune) bool { return r == '\r' || r == '\n' }) {
					if strings.HasPrefix(line, "Injected") || strings.HasPrefix(line, ":") {
						t.Errorf("%s, %q: %q", name, lines, raw)
						break
					}
				}
			}
		}
	}
}
