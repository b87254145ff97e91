package main

import (
	"bytes"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

func TestClientDiscardsBodies(t *testing.T) {
	body := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "x", time.Time{}, bytes.NewReader(body))
	}))
	defer s.Close()
	c, err := dial(strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.conn.Close() }()
	head := "GET / HTTP/1.1\r\nHost: x\r\n"
	for range 3 { // one answer after another: nothing is left over or taken too much
		if err := c.get([]byte(head+"\r\n"), "200", int64(len(body))); err != nil {
			t.Fatal(err)
		}
		if err := c.get([]byte(head+"Range: bytes=5-70004\r\n\r\n"), "206", 70000); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.get([]byte(head+"Range: bytes=5-9\r\n\r\n"), "200", 5); err == nil {
		t.Error("another status passed")
	}
}

func TestClientSeesTheEnd(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = c.Read(make([]byte, 100))
		_, _ = c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort"))
		_ = c.Close()
	}()
	c, err := dial(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.conn.Close() }()
	if err := c.get([]byte("GET / HTTP/1.1\r\n\r\n"), "200", 100); err == nil {
		t.Error("a body that ends early passed")
	}
}

func TestParseStat(t *testing.T) {
	group, ticks, err := parseStat("7 (a) b (c)) S 1 42 42 0 -1 4194560 1 2 3 4 11 22 5 6 20 0 1 0 9")
	if err != nil || group != 42 || ticks != 33 {
		t.Errorf("group %d, %d ticks, %v", group, ticks, err)
	}
	for _, bad := range []string{"", "7 (a", "7 (a) S 1", "7 (a) S 1 x 42 0 -1 4 1 2 3 4 11 22 5 6 20 0"} {
		if _, _, err := parseStat(bad); err == nil {
			t.Errorf("%q passed", bad)
		}
	}
	if _, err := cpuOf(ownProcessGroup(t)); err != nil {
		t.Error(err)
	}
}

// ownProcessGroup is this process's own group, by /proc.
func ownProcessGroup(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		t.Skip(err)
	}
	group, _, err := parseStat(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return group
}

func TestMedian(t *testing.T) {
	for want, values := range map[float64][]float64{0: nil, 2: {3, 1, 2}, 2.5: {4, 1, 3, 2}} {
		if got := median(values); got != want {
			t.Errorf("median(%v) = %v", values, got)
		}
	}
}
