package gateway

import (
	"net/http"
	"reflect"
	"testing"
)

// TestReadyHead: an object's header that was made once is the same as one made
// for the answer, which is how a connection gets it that net/http reads.
func TestReadyHead(t *testing.T) {
	n := startNode(t, 1000, nil)
	n.source.object.Header = http.Header{
		"Etag": {`"v1"`}, "Last-Modified": {"Mon, 01 Jun 2026 10:00:00 GMT"}, "Cache-Control": {"public", "max-age=60"},
		"X-Cid": {"theirs"}, "Via": {"1.1 up"}, "Cache-Status": {"up; hit", "up2; hit;\r detail=\nx"}, "Age": {"7"}, "Connection": {"x"},
	}
	c := dial(t, n)
	r := newReader(c)
	for _, lines := range []string{"", "Range: bytes=5-9\r\n", "Range: bytes=-1\r\n", "If-None-Match: \"v1\"\r\n", "Range: bytes=5000-\r\n"} {
		for _, method := range []string{"GET", "HEAD"} {
			raw := method + " /a HTTP/1.1\r\nHost: " + doHost + "\r\n" + lines
			ask(t, c, raw+"\r\n")
			ready := readAnswer(r, method)
			made := n.send(t, raw+"Connection: keep-alive, close\r\n\r\n") // for net/http to read
			for _, h := range []http.Header{ready.header, made.header} {
				delete(h, "Connection")
				delete(h, "Age") // a second may have passed
			}
			if ready.err != nil || made.err != nil || ready.status != made.status || !reflect.DeepEqual(ready.header, made.header) {
				t.Errorf("%s %q: %d %v %v\nnet/http: %d %v %v", method, lines, ready.status, ready.header, ready.err,
					made.status, made.header, made.err)
			}
		}
	}
}
