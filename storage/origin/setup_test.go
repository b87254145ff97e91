package origin

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/faultorigin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	host = "cdn.example.com"
	path = "/d/a%2Fb.cab"
	size = 300_000
)

// bed is an origin, the rule that leads to it, and a client.
type bed struct {
	origin *faultorigin.Server
	rule   *storage.Rule
	client *Client
}

func newBed(t *testing.T, cfg Config, script ...faultorigin.Behaviour) *bed {
	t.Helper()
	return newBedOn(t, cfg, faultorigin.Config{}, script...)
}

func newBedOn(t *testing.T, cfg Config, on faultorigin.Config, script ...faultorigin.Behaviour) *bed {
	t.Helper()
	on.Objects = append(on.Objects, faultorigin.Object{Path: path, Size: size})
	o := faultorigin.New(on)
	t.Cleanup(o.Close)
	o.Script(path, script...)
	rule := &storage.Rule{
		Name: "test", Profile: storage.ProfileDO, Hosts: []string{host}, LastModifiedLength: true,
		Connect: o.Addr(), AllowPrivate: true,
	}
	if cfg.Lookup == nil {
		cfg.Lookup = func(h string) (*storage.Rule, bool) { return rule, h == host }
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &bed{origin: o, rule: rule, client: c}
}

// ref names the object, with a token that no error may tell.
func ref() storage.Ref {
	return storage.Ref{Scheme: "http", Host: host, Path: path, Query: "P1=secret"}
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func (b *bed) fetch(t *testing.T, r Request) (*Response, error) {
	t.Helper()
	if r.Ref.Host == "" {
		r.Ref = ref()
	}
	if r.Rule == nil {
		r.Rule = b.rule
	}
	resp, err := b.client.Fetch(within(t), r)
	if err == nil && resp.Body != nil {
		t.Cleanup(func() { _ = resp.Body.Close() })
	}
	return resp, err
}

// right reads resp and checks that its body is span of the given version.
func right(t *testing.T, resp *Response, version string, span storage.Span) {
	t.Helper()
	p, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("read body: %v", err)
	}
	if int64(len(p)) != span.Len() {
		t.Fatalf("body has %d bytes, want %d", len(p), span.Len())
	}
	if at := faultorigin.Check(p, resp.Object.Path, version, span.Off); at >= 0 {
		t.Fatalf("byte %d is wrong", at)
	}
}

// wrong fetches and reads, and wants it to end with the given error, which
// must wrap storage.ErrUpstream, after at most the right bytes.
func wrong(t *testing.T, b *bed, r Request, want error) {
	t.Helper()
	resp, err := b.fetch(t, r)
	if err == nil {
		var p []byte
		p, err = io.ReadAll(resp.Body)
		if at := faultorigin.Check(p, path, "1", resp.Span.Off); at >= 0 {
			t.Errorf("byte %d handed on is wrong", at)
		}
		if resp.Span.End >= 0 && int64(len(p)) > resp.Span.Len() {
			t.Errorf("%d bytes handed on, promised %d", len(p), resp.Span.Len())
		}
	}
	if !errors.Is(err, want) || !errors.Is(err, storage.ErrUpstream) {
		t.Errorf("error %v, want %v", err, want)
	}
	if err != nil && strings.Contains(err.Error(), "secret") {
		t.Errorf("the error tells the token: %v", err)
	}
}

func span(off, end int64) storage.Span { return storage.Span{Off: off, End: end} }
