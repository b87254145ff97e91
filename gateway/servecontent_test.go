package gateway

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mccd/mccd/storage"
)

// contentBed is a gateway that was not started, over one object of 4 KiB at
// most: its handler is called itself.
type contentBed struct {
	g    *Gateway
	file *os.File
	data []byte
	obj  *storage.Object
}

func newContentBed(tb testing.TB) *contentBed {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	b := &contentBed{data: bytes.Repeat([]byte("0123456789abcdefghijklmnopqrstuvwxyz-"), 111)[:4096]}
	if b.file, err = os.CreateTemp(tb.TempDir(), "chunk"); err != nil {
		tb.Fatal(err)
	}
	if _, err = b.file.Write(b.data); err != nil {
		tb.Fatal(err)
	}
	if b.g, err = New(Config{Catalogue: &fakeCatalogue{}, Source: b, NodeName: "n1", Listeners: []net.Listener{l}}); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { b.g.Close(); b.file.Close() })
	return b
}

func (b *contentBed) Open(context.Context, storage.Request) (Content, error) { return b, nil }
func (b *contentBed) Object() *storage.Object                                { return b.obj }
func (b *contentBed) Close()                                                 {}

// Next gives runs that end at multiples of 1,000 bytes.
func (b *contentBed) Next(_ context.Context, span storage.Span) (storage.Run, error) {
	return storage.Run{File: b.file, Off: span.Off, Len: min(span.Len(), 1000-span.Off%1000)}, nil
}

// contentCase is an object and what is asked of it. A header has one line for
// each line of its text.
type contentCase struct {
	size     int64
	etag     string // empty: none
	modified bool
	method   string
	lines    http.Header
}

// newContentCase makes a case of a fuzzer's input.
func newContentCase(size uint16, shape byte, conditions ...string) contentCase {
	c := contentCase{size: int64(size % 4097), method: http.MethodGet, modified: shape&4 == 0, lines: http.Header{}}
	c.etag = [...]string{`"v1"`, `W/"v1"`, "", `"v,1"`}[shape&3]
	if shape&8 != 0 {
		c.method = http.MethodHead
	}
	for i, name := range []string{"Range", "If-Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"} {
		if conditions[i] != "" {
			c.lines[name] = strings.Split(conditions[i], "\n")
		}
	}
	return c
}

// fill gives the headers that c has not values that clients send, most of them
// none.
func (c contentCase) fill(rng *rand.Rand) {
	at := oracleTime()
	dates := []string{at.Format(http.TimeFormat), at.Add(time.Second).Format(time.RFC850), at.Add(-time.Second).Format(http.TimeFormat), "0"}
	tags := []string{`"v1"`, `W/"v1"`, `"v,1"`, `"v2", "v1"`, `W/"v2" ,, W/"v1"`, "*", `"v`, `"v2"`}
	give := func(name string, one int, values []string) {
		if len(c.lines[name]) == 0 && rng.IntN(one) == 0 {
			c.lines[name] = []string{values[rng.IntN(len(values))]}
		}
	}
	give("If-Range", 4, append(dates, tags...))
	give("If-Match", 6, tags)
	give("If-None-Match", 6, tags)
	give("If-Modified-Since", 6, dates)
	give("If-Unmodified-Since", 6, dates)
	if len(c.lines["Range"]) > 0 || rng.IntN(8) == 0 {
		return
	}
	near := func() int64 { return rng.Int64N(c.size + c.size/8 + 3) }
	var ranges []string
	for range 1 + rng.IntN(1+rng.IntN(20)) {
		a, b := near(), near()
		ranges = append(ranges, []string{
			fmt.Sprintf("%d-%d", min(a, b), max(a, b)), fmt.Sprintf("%d-%d", a, a+b/16), fmt.Sprintf("%d-", a), fmt.Sprintf("-%d", b),
			fmt.Sprintf(" %d-%d ", a, a), fmt.Sprintf("%d-%d", a, b), "",
		}[rng.IntN(6+rng.IntN(2))])
	}
	c.lines["Range"] = []string{"bytes=" + strings.Join(ranges, ",")}
}

func (c contentCase) clone() contentCase {
	lines := maps.Clone(c.lines)
	for name := range lines {
		lines[name] = slices.Clone(lines[name])
	}
	c.lines = lines
	return c
}

func (c contentCase) request() *http.Request {
	return &http.Request{Method: c.method, Host: httpHost, RequestURI: "/f", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: c.lines, Body: http.NoBody, RemoteAddr: "192.0.2.1:1"}
}

// ours asks the gateway, theirs http.ServeContent.
func (b *contentBed) ours(c contentCase) *httptest.ResponseRecorder {
	b.obj = &storage.Object{
		Version: storage.Version{Kind: storage.ValidatorETag, ETag: c.etag, Size: c.size},
		Header:  http.Header{"Content-Type": {"image/gif"}},
	}
	if c.etag != "" {
		b.obj.Header["Etag"] = []string{c.etag}
	}
	if c.modified {
		b.obj.Header["Last-Modified"] = []string{oracleTime().Format(http.TimeFormat)}
	}
	w := httptest.NewRecorder()
	b.g.serveHTTP(w, c.request())
	return w
}

func (b *contentBed) theirs(c contentCase) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	w.Header()["Content-Type"] = []string{"image/gif"}
	if c.etag != "" {
		w.Header()["Etag"] = []string{c.etag}
	}
	var at time.Time
	if c.modified {
		at = oracleTime()
	}
	http.ServeContent(w, c.request(), "f", at, bytes.NewReader(b.data[:c.size]))
	return w
}

// differ tells in what our answer is another than theirs; empty: in nothing
// that counts. Refusals are the same if their statuses are.
func differ(c contentCase, our, their *httptest.ResponseRecorder) string {
	if our.Code != their.Code {
		return fmt.Sprintf("status %d, ServeContent %d", our.Code, their.Code)
	}
	ourParts, err := partsOf(our.Header(), our.Body.Bytes())
	if err != nil {
		return err.Error()
	}
	theirParts, err := partsOf(their.Header(), their.Body.Bytes())
	if err != nil {
		return err.Error()
	}
	code := our.Code
	names := map[int][]string{
		http.StatusOK:                           {"Content-Length", "Content-Type", "Etag", "Last-Modified", "Content-Range"},
		http.StatusPartialContent:               {"Content-Length", "Content-Type", "Etag", "Last-Modified", "Content-Range"},
		http.StatusNotModified:                  {"Content-Length", "Content-Type", "Etag", "Content-Range"},
		http.StatusRequestedRangeNotSatisfiable: {"Content-Range"},
	}[code]
	for _, name := range names {
		our, their := valueOf(our.Header(), name), valueOf(their.Header(), name)
		switch {
		case theirParts != nil && name == "Content-Length", theirParts != nil && name == "Content-Type": // the parts are compared
		case their == "" && code == http.StatusRequestedRangeNotSatisfiable: // ServeContent tells it of some
		case our != their:
			return fmt.Sprintf("%s %q, ServeContent %q", name, our, their)
		}
	}
	if our.Code >= 300 {
		return ""
	}
	if got := valueOf(our.Header(), "Content-Length"); c.method == http.MethodGet && got != fmt.Sprint(our.Body.Len()) {
		return fmt.Sprintf("Content-Length %s of %d bytes", got, our.Body.Len())
	}
	if ourParts == nil && !bytes.Equal(our.Body.Bytes(), their.Body.Bytes()) {
		return fmt.Sprintf("%d bytes, ServeContent %d", our.Body.Len(), their.Body.Len())
	}
	if !slices.EqualFunc(ourParts, theirParts, func(a, b part) bool {
		return a.contentRange == b.contentRange && a.kind == b.kind && bytes.Equal(a.body, b.body)
	}) {
		return fmt.Sprintf("parts %q, ServeContent %q", ourParts, theirParts)
	}
	return ""
}

// valueOf returns a header whichever way its name is written.
func valueOf(h http.Header, name string) string {
	for key, values := range h {
		if http.CanonicalHeaderKey(key) == name {
			return strings.Join(values, "|")
		}
	}
	return ""
}

// explained compares the two answers to c, and tells by which of differences
// they are not the same.
func (b *contentBed) explained(c contentCase) (names []string, fault string) {
	our := b.ours(c)
	first := differ(c, our, b.theirs(c))
	if first == "" {
		return nil, ""
	}
	same := c.clone()
	for _, d := range differences() {
		if d.translate(&same) {
			names = append(names, d.name)
		}
	}
	if fault = differ(same, our, b.theirs(same)); fault != "" {
		return names, fmt.Sprintf("%s of %d bytes, ETag %s, dated %v, %q: %s; taken as %q by %q: %s",
			c.method, c.size, c.etag, c.modified, c.lines, first, same.lines, names, fault)
	}
	if len(names) == 0 {
		return nil, first
	}
	return names, ""
}

// FuzzServeContent holds status, headers and body of profile http to those of
// http.ServeContent, but for differences.
//
//fuzz:least 60s
func FuzzServeContent(f *testing.F) {
	at := oracleTime().Format(http.TimeFormat)
	for _, d := range differences() {
		e := d.example
		f.Add(uint64(0), uint16(e.size), e.shape, e.conditions[0], e.conditions[1], e.conditions[2], e.conditions[3], "", "")
	}
	for i := range uint64(20) {
		f.Add(i, uint16(10*i), byte(i), "", "", "", "", "", "")
	}
	f.Add(uint64(0), uint16(1000), byte(0), "bytes=0-0,-1, 500-700", `"v1"`, "", "", "", "")
	f.Add(uint64(0), uint16(4096), byte(0), "bytes=5-", at, "", "", "", at)
	f.Add(uint64(0), uint16(4096), byte(0), "bytes=990-1010,-1", "", "", `"v2", W/"v1"`, at, "")
	f.Add(uint64(0), uint16(9), byte(2), "bytes=1-2,9-", "", "*", "", "", at)
	bed := newContentBed(f)
	f.Fuzz(func(t *testing.T, pick uint64, size uint16, shape byte, ranges, ifRange, ifMatch, ifNoneMatch, since, until string) {
		for _, value := range []string{ranges, ifRange, ifMatch, ifNoneMatch, since, until} {
			if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' && r != '\n' || r == 0x7f }) || len(value) > 4096 {
				t.Skip("no reader of requests lets this through")
			}
		}
		c := newContentCase(size, shape, ranges, ifRange, ifMatch, ifNoneMatch, since, until)
		if pick != 0 {
			c.fill(rand.New(rand.NewPCG(pick, 1)))
		}
		if _, fault := bed.explained(c); fault != "" {
			t.Fatal(fault)
		}
	})
}

// TestDifferencesFromServeContent shows each of the documented differences: that
// there is one, and that nothing else differs.
func TestDifferencesFromServeContent(t *testing.T) {
	bed := newContentBed(t)
	for _, d := range differences() {
		e := d.example
		names, fault := bed.explained(newContentCase(uint16(e.size), e.shape, e.conditions[0], e.conditions[1], e.conditions[2], e.conditions[3], "", ""))
		if fault != "" || !slices.Contains(names, d.name) {
			t.Errorf("%s: told apart by %q, fault %q", d.name, names, fault)
		}
	}
}
