package http1

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// until returns how long the server takes to close c, and what came.
func until(t *testing.T, c net.Conn) (time.Duration, string) {
	t.Helper()
	begun := time.Now()
	all, err := io.ReadAll(c)
	if err != nil {
		t.Error(err)
	}
	return time.Since(begun), string(all)
}

func say(t *testing.T, c net.Conn, raw string) {
	t.Helper()
	if _, err := io.WriteString(c, raw); err != nil {
		t.Fatal(err)
	}
}

// answerOn reads one answer.
func answerOn(t *testing.T, r *bufio.Reader) *http.Response {
	t.Helper()
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp
}

// TestTimes: heads and silence are bounded, in bubbles with a clock of their
// own.
func TestTimes(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(t *testing.T, c net.Conn)
		want time.Duration
	}{
		{"nothing comes", func(*testing.T, net.Conn) {}, 10 * time.Second},
		{"half a head", func(t *testing.T, c net.Conn) {
			say(t, c, "GET /a HT")
		}, 10 * time.Second},
		{"a slow head", func(t *testing.T, c net.Conn) {
			for range 9 {
				say(t, c, "GET /a HTTP/1.1\r\nX: y\r\n"[:10])
				<-time.After(time.Second)
			}
		}, time.Second},
		{"idle after an answer", func(t *testing.T, c net.Conn) {
			say(t, c, get("/length"))
			answerOn(t, bufio.NewReader(c))
		}, 75 * time.Second},
		{"idle after several", func(t *testing.T, c net.Conn) {
			r := bufio.NewReader(c)
			for range 5 {
				<-time.After(5 * time.Second)
				say(t, c, get("/length"))
				answerOn(t, r)
				<-time.After(50 * time.Second)
			}
		}, 25 * time.Second},
		{"half a head after an answer", func(t *testing.T, c net.Conn) {
			say(t, c, get("/length"))
			answerOn(t, bufio.NewReader(c))
			<-time.After(70 * time.Second)
			say(t, c, "GET")
		}, 10 * time.Second},
		{"idle after a slow head", func(t *testing.T, c net.Conn) {
			raw := get("/length")
			say(t, c, raw[:9])
			<-time.After(9 * time.Second)
			say(t, c, raw[9:])
			answerOn(t, bufio.NewReader(c))
		}, 75 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newRig(t, behave, nil)
				c := g.dial(t)
				tt.do(t, c)
				if took, got := until(t, c); took != tt.want || got != "" {
					t.Errorf("closed after %s with %q, want %s", took, got, tt.want)
				}
			})
		})
	}
}

// TestClientLeaves: the wait of a handler ends when its client goes away, and
// who does not wait starts nothing.
func TestClientLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		g := newRig(t, func(w http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			ended <- context.Cause(r.Context())
		}, nil)
		c := g.dial(t)
		say(t, c, get("/a"))
		synctest.Wait()
		_ = c.Close()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

// TestWaitLosesNoByte: what comes while a handler waits is the next request.
func TestWaitLosesNoByte(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/wait" {
				select {
				case <-time.After(100 * time.Second): // longer than the idle time
				case <-r.Context().Done():
					t.Error("the wait ended")
				}
			}
			behave(w, r)
		}, nil)
		for _, second := range []string{get("/length"), strings.Repeat(get("/length"), 3) + get("/wait"), ""} {
			c := g.dial(t)
			say(t, c, get("/wait"))
			synctest.Wait()
			go func() { _, _ = io.WriteString(c, second) }()
			r := bufio.NewReader(c)
			for range 1 + strings.Count(second, "GET") {
				if resp := answerOn(t, r); resp.StatusCode != http.StatusOK {
					t.Errorf("status %d", resp.StatusCode)
				}
			}
			if took, rest := until(t, &readerConn{c, r}); took != 75*time.Second || rest != "" {
				t.Errorf("closed after %s with %q", took, rest)
			}
		}
		if len(g.handed) > 0 {
			t.Errorf("handed over: %q", <-g.handed)
		}
	})
}

// readerConn is a connection behind its buffer.
type readerConn struct {
	net.Conn
	r io.Reader
}

func (c *readerConn) Read(p []byte) (int, error) { return c.r.Read(p) }

// TestKeptContext: a context that is asked for its end only after its request
// takes nothing from the connection.
func TestKeptContext(t *testing.T) {
	var kept context.Context
	g := newRig(t, func(w http.ResponseWriter, r *http.Request) {
		kept = r.Context()
		behave(w, r)
	}, nil)
	c := g.dial(t)
	r := bufio.NewReader(c)
	say(t, c, get("/length"))
	answerOn(t, r)
	kept.Done()
	say(t, c, get("/length"))
	if resp := answerOn(t, r); resp.StatusCode != http.StatusOK {
		t.Error(resp.Status)
	}
}

// TestPanic closes its own connection only, and is told, but for the one that
// means to close.
func TestPanic(t *testing.T) {
	g := newRig(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/panic" {
			panic("on purpose")
		}
		behave(w, r)
	}, nil)
	other := g.dial(t)
	for _, target := range []string{"/panic", "/abort"} {
		c := g.dial(t)
		say(t, c, get(target))
		if _, got := until(t, c); strings.Contains(got, "HTTP/1.1 200") != (target == "/abort") {
			t.Errorf("%s: %q", target, got)
		}
	}
	say(t, other, get("/length"))
	answerOn(t, bufio.NewReader(other))
}

// TestWriteCounts: a write that fails tells how much was sent.
func TestWriteCounts(t *testing.T) {
	const size = 16 << 10
	sent := make(chan int, 1)
	g := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Length"] = []string{strconv.Itoa(size)}
		n, err := w.Write(make([]byte, size))
		if err == nil {
			t.Error("no error")
		}
		sent <- n
	}, nil)
	c := g.dial(t)
	say(t, c, get("/a"))
	r := bufio.NewReaderSize(c, 16)
	for line := ""; line != "\r\n"; {
		var err error
		if line, err = r.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := io.CopyN(io.Discard, r, 4096); err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	if n := <-sent; n < 4096 || n > 4096+16 {
		t.Errorf("%d bytes sent of %d, of which 4096 were taken", n, size)
	}
}
