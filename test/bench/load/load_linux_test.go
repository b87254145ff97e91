package load

import (
	"bytes"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The tests measure the processes of their own group: in that of go test, others
// end meanwhile and take the time that they used with them.
func TestMain(m *testing.M) {
	if err := syscall.Setpgid(0, 0); err != nil && !errors.Is(err, syscall.EPERM) { // it leads one
		panic(err)
	}
	os.Exit(m.Run())
}

func content(n int) []byte { return bytes.Repeat([]byte("0123456789abcdef"), n/16) }

func serve(t *testing.T, body []byte) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "x", time.Time{}, bytes.NewReader(body))
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

func dial(t *testing.T, addr string) *Client {
	t.Helper()
	c, err := Dial(t.Context(), addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestClientTakesAnswers(t *testing.T) {
	body := content(1 << 20)
	c := dial(t, serve(t, body))
	for range 3 { // one answer after another: nothing is left over or taken too much
		var moved int64
		if err := c.Get(Request("/", "x", 0, 0), "200", int64(len(body)), func(n int64) { moved += n }); err != nil || moved != int64(len(body)) {
			t.Fatal(moved, err)
		}
		if err := c.Get(Request("/", "x", 5, 70000), "206", 70000, nil); err != nil {
			t.Fatal(err)
		}
		var got []byte
		times, err := c.Read(Request("/", "x", 7, 300000), "206", 300000, func(p []byte) error {
			got = append(got, p...)
			return nil
		})
		if err != nil || !bytes.Equal(got, body[7:300007]) {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
		if times.Head == 0 || times.First < times.Head || times.Last < times.First || times.Gap > times.Last {
			t.Errorf("%+v", times)
		}
	}
	if err := c.Get(Request("/", "x", 5, 5), "200", 5, nil); err == nil {
		t.Error("another status passed")
	}
	c = dial(t, c.conn.RemoteAddr().String())
	if err := c.Get(Request("/", "x", 5, 5), "206", 6, nil); err == nil {
		t.Error("another length passed")
	}
	wrong := errors.New("wrong")
	c = dial(t, c.conn.RemoteAddr().String())
	if _, err := c.Read(Request("/", "x", 0, 0), "200", int64(len(body)), func([]byte) error { return wrong }); !errors.Is(err, wrong) {
		t.Error(err)
	}
}

func TestClientSeesTheEnd(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 100))
			_, _ = c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort"))
			_ = c.Close()
		}
	}()
	request := []byte("GET / HTTP/1.1\r\n\r\n")
	if err := dial(t, l.Addr().String()).Get(request, "200", 100, nil); err == nil {
		t.Error("a body that ends early passed")
	}
	if _, err := dial(t, l.Addr().String()).Read(request, "200", 100, func([]byte) error { return nil }); err == nil {
		t.Error("a body that ends early passed")
	}
}

func TestContentLength(t *testing.T) {
	for head, want := range map[string]int64{
		"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n":             7,
		"HTTP/1.1 200 OK\r\na: b\r\ncontent-length:  12 \r\n\r\n":  12,
		"HTTP/1.1 200 OK\r\nX-Content-Length: 7\r\n\r\n":           -1,
		"HTTP/1.1 200 OK\r\nContent-Length: seven\r\nx: y\r\n\r\n": -1,
	} {
		if got, err := contentLength([]byte(head)); (err != nil) != (want < 0) || err == nil && got != want {
			t.Errorf("%q: %d, %v", head, got, err)
		}
	}
}

func TestParseStat(t *testing.T) {
	p, err := parseStat("7 (a) b (c)) S 1 42 42 0 -1 4194560")
	if err != nil || p != (process{7, 42, "S"}) {
		t.Errorf("%+v, %v", p, err)
	}
	for _, bad := range []string{"", "7 (a", "7 (a) S 1", "7 (a) S 1 x 42", "x (a) S 1 2"} {
		if _, err := parseStat(bad); err == nil {
			t.Errorf("%q passed", bad)
		}
	}
}

func TestCPU(t *testing.T) {
	group := syscall.Getpgrp()
	before, err := CPU(group)
	if err != nil {
		t.Fatal(err)
	}
	for sum, i := 0, 0; i < 50_000_000; i++ {
		sum += i * i
	}
	if after, err := CPU(group); err != nil || after <= before {
		t.Errorf("%v, then %v, %v", before, after, err)
	}
	if _, err := CPU(1 << 30); err == nil {
		t.Error("a group without processes has a time")
	}
}

func TestSteady(t *testing.T) {
	body := content(4 << 20)
	addr := serve(t, body)
	for _, size := range []int64{64 << 10, 0} {
		got, err := Steady{Addr: addr, Target: "/", Object: int64(len(body)), Size: size, Clients: 3, Bytes: 8 << 20, Groups: []int{syscall.Getpgrp()}}.Measure(t.Context())
		if err != nil || got.MiBPerSecond <= 0 || got.CPUPerGiB <= 0 {
			t.Errorf("ranges of %d: %+v, %v", size, got, err)
		}
	}
	if _, err := (Steady{Addr: addr, Target: "/", Object: 5, Clients: 2, Bytes: 1 << 20, Groups: []int{os.Getpid()}}).Measure(t.Context()); err == nil {
		t.Error("an answer of another length passed")
	}
}
