package http1

import (
	"bufio"
	"bytes"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
)

// FuzzHead: what is accepted, net/http accepts too, and understands in the
// same way.
func FuzzHead(f *testing.F) {
	for _, tt := range corpus {
		f.Add([]byte(tt.raw))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		end, odd := headEnd(b, 0)
		for seen := range min(len(b), 64) { // in two parts: never another end
			first, odd1 := headEnd(b[:seen], 0)
			if first > 0 || odd1 {
				break
			}
			if again, oddAgain := headEnd(b, seen); again != end || oddAgain != odd {
				t.Fatalf("%q: end %d %v, after %d bytes %d %v", b, end, odd, seen, again, oddAgain)
			}
		}
		if odd || end == 0 {
			return
		}
		r := &http.Request{Header: http.Header{}, URL: &url.URL{}}
		var values lines
		if !parse(string(b[:end]), r, &values) {
			return
		}
		br := bufio.NewReader(bytes.NewReader(b[:end]))
		want, err := http.ReadRequest(br)
		if err != nil {
			t.Fatalf("%q is accepted; net/http: %v", b[:end], err)
		}
		if br.Buffered() > 0 {
			t.Fatalf("%q: net/http left %d bytes", b[:end], br.Buffered())
		}
		delete(want.Header, "Host")
		if r.Method != want.Method || r.RequestURI != want.RequestURI || r.Host != want.Host || r.Close != want.Close {
			t.Fatalf("%q: %+v, want %+v", b[:end], r, want)
		}
		if *r.URL != *want.URL || !reflect.DeepEqual(r.Header, want.Header) {
			t.Fatalf("%q: %+v %v, want %+v %v", b[:end], r.URL, r.Header, want.URL, want.Header)
		}
		if want.ContentLength != 0 || want.Body != http.NoBody || len(want.TransferEncoding) > 0 {
			t.Fatalf("%q has a body", b[:end])
		}
	})
}

// TestHeadersDoNotMix: a repeated name does not run into its neighbour's value.
func TestHeadersDoNotMix(t *testing.T) {
	r := &http.Request{Header: http.Header{}, URL: &url.URL{}}
	var values lines
	head := get("/a", "A: 1", "B: 2", "A: 3", "C: 4")
	if !parse(head, r, &values) {
		t.Fatal("refused")
	}
	want := http.Header{"A": {"1", "3"}, "B": {"2"}, "C": {"4"}}
	if !reflect.DeepEqual(r.Header, want) {
		t.Errorf("%v", r.Header)
	}
}

func TestAppendField(t *testing.T) {
	for want, field := range map[string][2]string{
		"X-CID: a b\r\n":     {"X-CID", " a b "},
		"X: a  Set: c\r\n":   {"X", "a\r\nSet: c"},
		"":                   {"Bad Name", "x"},
		"Empty: \r\n":        {"Empty", ""},
		"Utf8: \xc3\xa9\r\n": {"Utf8", "é"},
	} {
		if got := string(AppendField(nil, field[0], field[1])); got != want {
			t.Errorf("%q: %q, want %q", field, got, want)
		}
	}
	if got := AppendField([]byte("a"), "", "x"); string(got) != "a" {
		t.Errorf("%q", got)
	}
}

func BenchmarkParse(b *testing.B) {
	head := get("/filestreamingservice/files/7bc846e0?P1=1&P2=2&cacheHostOrigin=au.download.windowsupdate.com",
		"User-Agent: Microsoft-Delivery-Optimization/10.1", "MS-CV: abc.1.2", "Range: bytes=0-1048575", "Accept: */*")
	r := &http.Request{Header: http.Header{}, URL: &url.URL{}}
	var values lines
	b.ReportAllocs()
	for b.Loop() {
		clear(r.Header)
		if !parse(strings.Clone(head), r, &values) {
			b.Fatal("refused")
		}
	}
}
