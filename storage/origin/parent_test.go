package origin

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/faultorigin"
)

// family is an origin and a parent cache that holds the same object.
type family struct {
	*bed
	parent *faultorigin.Server
	log    *bytes.Buffer
	now    *atomic.Int64
}

func newFamily(t *testing.T, only bool, script ...faultorigin.Behaviour) *family {
	t.Helper()
	parent := faultorigin.New(faultorigin.Config{Objects: []faultorigin.Object{{Path: path, Size: size}}})
	t.Cleanup(parent.Close)
	parent.Script(path, script...)
	f := &family{parent: parent, log: new(bytes.Buffer), now: new(atomic.Int64)}
	firstByte := DefaultFirstByte
	if len(script) > 0 && script[0].Gate != nil {
		firstByte = 3 * time.Second // half for the silent parent, the rest for the origin
	}
	f.bed = newBed(t, Config{
		FirstByte: firstByte, Cluster: func() string { return "child" },
		Now:    func() time.Time { return time.Now().Add(time.Duration(f.now.Load())) },
		Logger: slog.New(slog.NewTextHandler(f.log, nil)),
	})
	// connect leads to the origin when the parent is passed over.
	f.rule.Upstream, f.rule.UpstreamOnly = "cache://"+parent.Addr(), only
	return f
}

func (f *family) asked() (parent, origin int) {
	return len(f.parent.Ledger().Entries()), len(f.origin.Ledger().Entries())
}

func TestParentIsAskedByForm1(t *testing.T) {
	f := newFamily(t, false)
	for query, want := range map[string]string{
		"":                   "cacheHostOrigin=" + host,
		"P1=1&P4=aB%2bc%3d":  "P1=1&P4=aB%2bc%3d&cacheHostOrigin=" + host,
		"cachehostorigin=no": "cachehostorigin=no&cacheHostOrigin=" + host,
	} {
		r := ref()
		r.Query, r.Caches = query, "grandchild"
		f.parent.Ledger().Reset()
		resp, err := f.fetch(t, Request{Ref: r, Span: span(1000, 2000)})
		if err != nil {
			t.Fatal(err)
		}
		right(t, resp, "1", span(1000, 2000))
		e := f.parent.Ledger().Entries()
		if len(e) != 1 || e[0].Query != want || e[0].Path != path || e[0].Host != f.parent.Addr() {
			t.Fatalf("the parent got %+v", e)
		}
		if h := e[0].Header; h.Get("Range") != "bytes=1000-1999" || h.Get("Cdn-Loop") != "grandchild, child" || h.Get("X-Forwarded-For") != "" || h.Get("Referer") != "" {
			t.Errorf("the parent got %v", h)
		}
		if o := resp.Object; o.Host != host || o.ID != r.ID() || o.Version.Kind != storage.ValidatorLastModifiedLength || o.Size() != size {
			t.Errorf("object %+v", o)
		}
	}
	if _, n := f.asked(); n != 0 {
		t.Errorf("the origin was asked %d times", n)
	}
}

func TestParentNamesPortsOfOrigins(t *testing.T) {
	f := newFamily(t, false)
	f.rule.Ports = []int{8080}
	r := ref()
	r.Host, r.Query = host+":8080", ""
	if _, err := f.fetch(t, Request{Ref: r, Whole: true}); err != nil {
		t.Fatal(err)
	}
	if e := f.parent.Ledger().Entries(); e[0].Query != "cacheHostOrigin="+host+":8080" {
		t.Errorf("query %q", e[0].Query)
	}
}

func TestParentRevalidates(t *testing.T) {
	f := newFamily(t, false)
	first, err := f.fetch(t, Request{Span: span(0, 10)})
	if err != nil {
		t.Fatal(err)
	}
	again, err := f.fetch(t, Request{Span: span(0, 10), Revalidate: &first.Object.Version, Known: first.Object.Header})
	if err != nil || !again.NotModified {
		t.Errorf("%+v, %v", again, err)
	}
}

// What a parent does not give comes from the origin, or, where that is not
// allowed, ends as trouble that passes.
func TestParentThatFails(t *testing.T) {
	for name, script := range map[string]faultorigin.Behaviour{
		"drops":          {Drop: true},
		"silent":         {Gate: faultorigin.NewGate()},
		"503":            {Status: http.StatusServiceUnavailable},
		"502":            {Status: http.StatusBadGateway},
		"loop":           {Status: http.StatusLoopDetected},
		"does not serve": {Status: http.StatusForbidden},
		"not found":      {Status: http.StatusNotFound},
		"too many":       {Status: http.StatusTooManyRequests},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFamily(t, false, script)
			resp, err := f.fetch(t, Request{Span: span(0, 1000)})
			if err != nil {
				t.Fatal(err)
			}
			right(t, resp, "1", span(0, 1000))
			if p, o := f.asked(); p != 1 || o != 1 {
				t.Errorf("parent asked %d times, origin %d", p, o)
			}
			if got := f.origin.Ledger().Entries()[0]; got.Query != "P1=secret" || got.Header.Get("Cdn-Loop") != "" {
				t.Errorf("the origin got %q, %v", got.Query, got.Header)
			}

			strict := newFamily(t, true, script)
			_, err = strict.fetch(t, Request{Span: span(0, 1000)})
			status, isStatus := errors.AsType[*storage.StatusError](err)
			if itsOwn := isStatus && (status.Code == 403 || status.Code == 404); !itsOwn && !errors.Is(err, storage.ErrUpstream) {
				t.Errorf("parent alone: %v", err)
			}
			if _, o := strict.asked(); o != 0 {
				t.Error("the origin was asked though only the parent may be")
			}
		})
	}
}

func TestParentSpeaksForTheOrigin(t *testing.T) {
	f := newFamily(t, false)
	_, err := f.fetch(t, Request{Span: span(size+10, size+20)})
	if unsatisfiable, ok := errors.AsType[*UnsatisfiableError](err); !ok || unsatisfiable.Total != size {
		t.Errorf("past the end: %v", err)
	}
	if _, o := f.asked(); o != 0 {
		t.Errorf("the origin was asked %d times", o)
	}
}

// A parent that is down costs one request in a while, and one line in the log.
func TestParentThatIsDownIsPassedOver(t *testing.T) {
	f := newFamily(t, false, faultorigin.Behaviour{Requests: []int{1, 2}, Drop: true})
	want := func(parent, origin int) {
		t.Helper()
		resp, err := f.fetch(t, Request{Span: span(0, 10)})
		if err != nil {
			t.Fatal(err)
		}
		right(t, resp, "1", span(0, 10))
		if p, o := f.asked(); p != parent || o != origin {
			t.Fatalf("parent asked %d times, origin %d; want %d and %d", p, o, parent, origin)
		}
	}
	want(1, 1)
	want(1, 2)
	f.now.Store(int64(parentAgain))
	want(2, 3)
	want(2, 4)
	f.now.Store(int64(2*parentAgain + time.Second))
	want(3, 4)
	want(4, 4)
	if n := strings.Count(f.log.String(), "parent cache fails"); n != 1 || !strings.Contains(f.log.String(), "answers again") || strings.Contains(f.log.String(), "secret") {
		t.Errorf("log:\n%s", f.log)
	}
}

// One that breaks off on the way is passed over by who asks for the rest.
func TestParentThatBreaksOff(t *testing.T) {
	f := newFamily(t, false, faultorigin.Behaviour{Break: faultorigin.Reset, After: 5000})
	wrong(t, f.bed, Request{Span: span(0, 100_000)}, ErrBroken)
	resp, err := f.fetch(t, Request{Span: span(5000, 100_000)})
	if err != nil {
		t.Fatal(err)
	}
	right(t, resp, "1", span(5000, 100_000))
	if p, o := f.asked(); p != 1 || o != 1 {
		t.Errorf("parent asked %d times, origin %d", p, o)
	}
}
