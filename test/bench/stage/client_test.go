package stage

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/faultorigin"
)

// TestClient: a wrong byte, a wrong length and a body that ends early are told
// from what is right.
func TestClient(t *testing.T) {
	origin := faultorigin.New(faultorigin.Config{Objects: []faultorigin.Object{
		{Path: "/right", Size: 1 << 20}, {Path: "/wrong", Size: 1 << 20}, {Path: "/short", Size: 1 << 20},
	}})
	defer origin.Close()
	origin.Script("/wrong", faultorigin.Behaviour{MidVersion: "2", MidAfter: 70_000})
	origin.Script("/short", faultorigin.Behaviour{Break: faultorigin.Short, After: 70_000})
	get := func(path string, span storage.Span) error {
		c, err := Dial(t.Context(), origin.Addr(), 0)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, err = c.Get(path, span, true)
		return err
	}
	if err := get("/right", storage.Span{Off: 5, End: 1 << 19}); err != nil {
		t.Error(err)
	}
	if err := get("/wrong", storage.Span{End: 1 << 19}); !errors.Is(err, errWrong) {
		t.Errorf("other bytes: %v", err)
	}
	if err := get("/short", storage.Span{End: 1 << 19}); err == nil {
		t.Error("a body that ends early passed")
	}
	if err := get("/right", storage.Span{Off: 1 << 19, End: 1<<20 + 1}); err == nil {
		t.Error("fewer bytes than asked for passed")
	}
	if err := get("/none", storage.Span{End: 1}); err == nil {
		t.Error("404 passed")
	}
}

// TestClientReadsAnswersInTurn: one connection, one answer after another.
func TestClientReadsAnswersInTurn(t *testing.T) {
	var hosts []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hosts = append(hosts, r.URL.Query().Get("cacheHostOrigin"))
		w.Header().Set("Cache-Status", "x; hit")
		w.Header().Set("Content-Length", "3")
		w.WriteHeader(http.StatusPartialContent)
		_, _ = w.Write([]byte("abc"))
	}))
	defer s.Close()
	c, err := Dial(t.Context(), strings.TrimPrefix(s.URL, "http://"), 8<<10)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 3 {
		if status, err := c.Get("/x", storage.Span{Off: 4, End: 7}, false); err != nil || status != "x; hit" {
			t.Fatalf("%q, %v", status, err)
		}
	}
	if len(hosts) != 3 || hosts[2] != Host {
		t.Errorf("asked for %q", hosts)
	}
}
