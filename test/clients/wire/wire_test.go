package wire

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// answering returns the address of a server that reads one head per connection,
// writes each part of text in turn, waits between them, and closes.
func answering(t *testing.T, wait time.Duration, parts ...string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				in := bufio.NewReader(conn)
				if _, err := in.ReadString('\n'); err != nil {
					return
				}
				_, _ = ReadFields(in, 0)
				for i, part := range parts {
					if i > 0 {
						<-time.After(wait) // a slow server is what is tested
					}
					_, _ = io.WriteString(conn, part)
				}
			}()
		}
	}()
	return l.Addr().String()
}

func ask(t *testing.T, addr string, pace Pace) (*Conn, *Head, error) {
	t.Helper()
	c, err := Dial(t.Context(), addr, time.Minute, pace)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if err := c.Send("GET / HTTP/1.1\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	h, err := c.ReadHead()
	return c, h, err
}

func TestBodies(t *testing.T) {
	for name, tt := range map[string]struct {
		text, body string
		err        error
		kept       bool
	}{
		"by length":            {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello", nil, true},
		"by length, any case":  {"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", "hello", nil, true},
		"told to close":        {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", "hello", nil, false},
		"none":                 {"HTTP/1.1 204 No Content\r\n\r\n", "", nil, true},
		"empty":                {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "", nil, true},
		"short":                {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", "hello", io.ErrUnexpectedEOF, false},
		"chunks":               {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "hello", nil, false},
		"chunks, short":        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhello", "hello", io.ErrUnexpectedEOF, false},
		"to the end":           {"HTTP/1.1 200 OK\r\n\r\nhello", "hello", nil, false},
		"length is no number":  {"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nhello", "", errHead, false},
		"after an interim one": {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "hi", nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			c, h, err := ask(t, answering(t, 0, tt.text), Pace{})
			if err != nil {
				t.Fatal(err)
			}
			b := c.Body(h)
			got, err := io.ReadAll(b)
			if string(got) != tt.body || !errors.Is(err, tt.err) || b.Kept() != tt.kept {
				t.Errorf("%q, %v, kept %v", got, err, b.Kept())
			}
		})
	}
}

func TestHeads(t *testing.T) {
	h, err := ReadHead(bufio.NewReader(strings.NewReader("HTTP/1.1 206 Partial Content\r\ncontent-range: bytes 0-1/2\r\nA:b\r\n\r\n")))
	if err != nil || h.Status != 206 {
		t.Fatalf("%+v, %v", h, err)
	}
	if _, ok := h.Exact("Content-Range"); ok {
		t.Error("case does not count")
	}
	if v, ok := h.Fold("Content-Range"); !ok || v != "bytes 0-1/2" {
		t.Errorf("%q, %v", v, ok)
	}
	for _, bad := range []string{"HTTP/2 200\r\n\r\n", "HTTP/1.1 2000 x\r\n\r\n", "HTTP/1.1 x y\r\n\r\n", "nonsense\r\n\r\n", "HTTP/1.1 200 OK\r\nno colon\r\n\r\n"} {
		if _, err := ReadHead(bufio.NewReader(strings.NewReader(bad))); !errors.Is(err, errHead) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	long := "HTTP/1.1 200 OK\r\nA: " + strings.Repeat("x", maxHead) + "\r\n\r\n"
	if _, err := ReadHead(bufio.NewReader(strings.NewReader(long))); !errors.Is(err, errHead) {
		t.Errorf("a head without an end: %v", err)
	}
}

func TestEndsOfConnections(t *testing.T) {
	if _, _, err := ask(t, answering(t, 0, ""), Pace{}); !errors.Is(err, ErrNoAnswer) {
		t.Errorf("closed: %v", err)
	}
	if _, _, err := ask(t, answering(t, 0, "HTTP/1.1 200"), Pace{}); err == nil || errors.Is(err, ErrNoAnswer) {
		t.Errorf("half a head: %v", err)
	}
	const dead = "127.0.0.1:1" // of no service, and given to nobody as a free one
	if _, err := Dial(t.Context(), dead, time.Minute, Pace{}); !errors.Is(err, ErrRefused) {
		t.Errorf("refused: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	c, err := Dial(ctx, answering(t, time.Hour, "x", "y"), time.Minute, Pace{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	cancel()
	if _, err := c.ReadHead(); err == nil {
		t.Error("read after the context's end")
	}
}

// Fewer bytes than Pace asks for end a transfer, also before the first byte;
// a pause that is shorter does not.
func TestPace(t *testing.T) {
	pace := Pace{Rate: 4000, For: 400 * time.Millisecond}
	if _, _, err := ask(t, answering(t, time.Minute, "", "late"), pace); !errors.Is(err, ErrSlow) {
		t.Errorf("no byte: %v", err)
	}
	head := "HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n" + strings.Repeat("x", 10000)
	c, h, err := ask(t, answering(t, time.Minute, head, "late"), pace)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(c.Body(h)); !errors.Is(err, ErrSlow) {
		t.Errorf("stalls: %v", err)
	}
	c, h, err = ask(t, answering(t, 100*time.Millisecond, head, strings.Repeat("y", 10000)), Pace{Rate: 4000, For: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(c.Body(h)); err != nil || len(got) != 20000 {
		t.Errorf("a pause: %d bytes, %v", len(got), err)
	}
}

func FuzzReadHead(f *testing.F) {
	f.Add("HTTP/1.1 200 OK\r\nA: b\r\n\r\n")
	f.Add("HTTP/1.1 100 \r\n\n")
	f.Fuzz(func(t *testing.T, text string) {
		h, err := ReadHead(bufio.NewReader(strings.NewReader(text)))
		if err == nil && (h.Status < 0 || h.Status > 999) {
			t.Errorf("status %d", h.Status)
		}
	})
}
