package http1

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"
)

// TestAllocations: an answer that is ready costs one allocation, the request's
// head as a string.
func TestAllocations(t *testing.T) {
	fields := []byte("Date: Mon, 01 Jun 2026 10:00:00 GMT\r\n")
	g := newRig(t, func(w http.ResponseWriter, r *http.Request) {
		if len(r.Header["Range"]) != 1 || r.Context().Err() != nil {
			t.Errorf("%+v", r)
		}
		w.(FieldWriter).WriteFields(http.StatusOK, 2, fields)
		_, _ = io.WriteString(w, "ok")
	}, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- g.Serve(g.ctx, l) }()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(c)
	raw := []byte(get("/a?b", "Range: bytes=0-1", "User-Agent: u"))
	once := func() {
		if _, err := c.Write(raw); err != nil {
			t.Fatal(err)
		}
		for {
			line, err := r.ReadSlice('\n')
			if err != nil {
				t.Fatal(err)
			}
			if len(line) == 2 {
				break
			}
		}
		if _, err := r.Discard(2); err != nil {
			t.Fatal(err)
		}
	}
	// Under the race detector a sync.Pool drops one of four.
	if n := testing.AllocsPerRun(200, once); n > 2 {
		t.Errorf("%v allocations per request", n)
	}
	_ = c.Close()
	g.Close()
	<-served
}
