package origin

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/test/faultorigin"
)

func TestResolve(t *testing.T) {
	from := storage.Ref{Scheme: "http", Host: "a.example.com:8080", Path: "/x/y%2fz", Query: "token=1"}
	tests := []struct{ location, want, query string }{ // want "" = refused
		{"http://b.example.com/p%2Fq?s=%2b", "http://b.example.com/p%2Fq", "s=%2b"},
		{"HTTPS://B.Example.COM.:443/p", "https://b.example.com/p", ""},
		{"http://b.example.com:80", "http://b.example.com/", ""},
		{"http://b.example.com:8080/p#f", "http://b.example.com:8080/p", ""},
		{"http://b.example.com?q", "http://b.example.com/", "q"},
		{"//b.example.com/p//q", "http://b.example.com/p//q", ""},
		{"/p/../q?r?s", "http://a.example.com:8080/p/../q", "r?s"},
		{"?only=query", "http://a.example.com:8080/x/y%2fz", "only=query"},
		{"w", "http://a.example.com:8080/x/w", ""},
		{"../w?k", "http://a.example.com:8080/w", "k"},
		{"http://[2001:db8::1]:81/p", "http://[2001:db8::1]:81/p", ""},
		{"", "", ""}, {"#f", "", ""}, {"ftp://b.example.com/", "", ""}, {"javascript:alert(1)", "", ""},
		{"http:opaque", "", ""}, {"http://user:pw@b.example.com/", "", ""}, {"http:///p", "", ""},
		{"http://b_ä.example.com/", "", ""}, {"http://b.example.com:x/", "", ""}, {"http://b%2eexample.com/", "", ""},
		{"//.", "", ""}, {"http://:80/", "", ""}, {"\x00", "", ""}, {"http://b.example.com\\@c.example.com/", "", ""},
	}
	for _, tt := range tests {
		got, err := resolve(from, tt.location)
		if tt.want == "" {
			if !errors.Is(err, storage.ErrUpstream) {
				t.Errorf("%q: %v, error %v; want it refused", tt.location, got, err)
			}
			continue
		}
		if err != nil || got.String() != tt.want || got.Query != tt.query {
			t.Errorf("%q: %v query %q, error %v", tt.location, got, got.Query, err)
		}
	}
}

func FuzzResolve(f *testing.F) {
	for _, s := range []string{"http://b/c?d#e", "//b", "/c", "?d", "../e", "http://[::1]:80/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, location string) {
		from := storage.Ref{Scheme: "http", Host: "a.example.com", Path: "/x/y", Query: "token=secret"}
		to, err := resolve(from, location)
		if err != nil {
			return
		}
		if strings.Contains(to.Query, "secret") && !strings.Contains(location, "secret") {
			t.Errorf("%q: the query went along", location)
		}
		if to.Scheme != "http" && to.Scheme != "https" || strings.ContainsAny(to.Host, "/@?# \t\r\n") || to.Host == "" {
			t.Errorf("%q: leads to %+q", location, to)
		}
		if u, err := directTarget(to); err == nil && u.Host != to.Host {
			t.Errorf("%q: host %q becomes %q", location, to.Host, u.Host)
		}
	})
}

func TestRedirectIsFollowedToAllowedHosts(t *testing.T) {
	b := newBed(t, Config{})
	other := faultorigin.New(faultorigin.Config{Objects: []faultorigin.Object{{Path: "/else", Size: size}}})
	t.Cleanup(other.Close)
	allowed := &storage.Rule{Name: "other", Profile: storage.ProfileDO, Connect: other.Addr(), AllowPrivate: true}
	strict := &storage.Rule{Name: "strict", Profile: storage.ProfileDO, Connect: other.Addr()}
	b.client.cfg.Lookup = func(h string) (*storage.Rule, bool) {
		r, ok := map[string]*storage.Rule{host: b.rule, "other.example.com": allowed, "strict.example.com": strict}[h]
		return r, ok
	}
	f := ref()
	f.Query = "token=secret"
	ask := func(location string) (*Response, error) {
		b.origin.Script(path, faultorigin.Behaviour{Location: location})
		return b.fetch(t, Request{Ref: f, Span: span(10, 1000)})
	}
	resp, err := ask("http://OTHER.example.com/else?new=%2b")
	if err != nil {
		t.Fatal(err)
	}
	if resp.Object.ID != f.ID() || resp.Object.Path != path || resp.Object.Host != host {
		t.Errorf("the object is that of the redirect: %+v", resp.Object)
	}
	resp.Object.Path = "/else" // the content's name
	right(t, resp, "1", span(10, 1000))
	e := other.Ledger().Requests("/else")
	if len(e) != 1 || e[0].Query != "new=%2b" || e[0].Header.Get("Range") != "bytes=10-999" || e[0].Host != "other.example.com" {
		t.Errorf("request after the redirect: %+v", e)
	}
	if resp, err = ask("http://other.example.com/else"); err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if e := other.Ledger().Requests("/else"); e[1].Query != "" {
		t.Errorf("the token went along: %q", e[1].Query)
	}
	other.Script("/else", faultorigin.Behaviour{Header: http.Header{"Content-Location": {"/else?sig=of-the-edge"}, "X-First": {"?token=secret"}}})
	if resp, err = ask("http://other.example.com/else?sig=of-the-edge"); err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if h := resp.Object.Header; len(h["Content-Location"])+len(h["X-First"]) > 0 {
		t.Errorf("kept with a token: %v", h)
	}
	for location, want := range map[string]error{
		"http://evil.example.org/": ErrRefused, "http://strict.example.com/else": ErrRefused,
		"http://other.example.com:8080/else": ErrRefused, "ftp://other.example.com/": ErrRefused,
		path: ErrLie, // for ever
	} {
		_, err := ask(location)
		if !errors.Is(err, want) || !errors.Is(err, storage.ErrUpstream) {
			t.Errorf("redirect to %s: error %v, want %v", location, err, want)
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("the error tells the token: %v", err)
		}
	}
	b.origin.Ledger().Reset()
	if _, err := ask(path); err == nil || len(b.origin.Ledger().Requests(path)) != maxHops+1 {
		t.Errorf("%d requests in a loop of redirects", len(b.origin.Ledger().Requests(path)))
	}
	if n := len(other.Ledger().Entries()); n != 3 {
		t.Errorf("%d requests at the other host, want 3", n)
	}
}

func TestRedirectStatuses(t *testing.T) {
	for _, code := range []int{301, 302, 303, 307, 308} {
		b := newBed(t, Config{}, faultorigin.Behaviour{Requests: []int{1}, Status: code, Location: path})
		resp, err := b.fetch(t, Request{Whole: true})
		if err != nil {
			t.Fatalf("%d: %v", code, err)
		}
		right(t, resp, "1", span(0, size))
	}
	for _, code := range []int{300, 305, 306} {
		b := newBed(t, Config{}, faultorigin.Behaviour{Status: code, Header: http.Header{"Location": {path}}})
		var status *storage.StatusError
		if _, err := b.fetch(t, Request{Whole: true}); !errors.As(err, &status) || status.Code != code {
			t.Errorf("%d: %v", code, err)
		}
	}
}

func TestNoRedirectFromHTTPSToHTTP(t *testing.T) {
	b := newBedOn(t, Config{}, faultorigin.Config{TLS: true, Names: []string{host}}, faultorigin.Behaviour{Location: "http://" + host + path})
	b.client.transports[storage.WayDirect].TLSClientConfig.RootCAs = b.origin.CertPool()
	f := ref()
	f.Scheme = "https"
	if _, err := b.fetch(t, Request{Ref: f, Whole: true}); !errors.Is(err, ErrRefused) {
		t.Errorf("error %v", err)
	}
}

func TestPass(t *testing.T) {
	b := newBed(t, Config{Node: "n"}, faultorigin.Behaviour{Requests: []int{1, 3}, Header: http.Header{"Connection": {"X-Hop"}, "X-Hop": {"1"}, "Set-Cookie": {"a=b"}}},
		faultorigin.Behaviour{Requests: []int{2}, Break: faultorigin.Short, After: 10})
	in := http.Header{
		"Authorization": {"Basic x"}, "Accept-Encoding": {"gzip"}, "X-Forwarded-For": {"192.0.2.1"}, "Connection": {"close, X-Mine"},
		"X-Mine": {"1"}, "Te": {"trailers"}, "Via": {"1.0 before"}, "User-Agent": {"client/1"}, "Range": {"bytes=5-99"},
	}
	resp, err := b.client.Pass(within(t), http.MethodGet, ref(), b.rule, in, nil)
	if err != nil {
		t.Fatal(err)
	}
	p, err := io.ReadAll(resp.Body)
	if err != nil || len(p) != 95 || faultorigin.Check(p, path, "1", 5) >= 0 {
		t.Errorf("%d bytes, %v", len(p), err)
	}
	if resp.Header.Get("Set-Cookie") != "a=b" || resp.Header.Get("X-Hop") != "" || resp.StatusCode != 206 {
		t.Errorf("answer %d %v", resp.StatusCode, resp.Header)
	}
	got := b.origin.Ledger().Requests(path)[0].Header
	if got.Get("Authorization") != "Basic x" || got.Get("User-Agent") != "client/1" || got.Get("Accept-Encoding") != "gzip" ||
		strings.Join(got["Via"], ", ") != "1.0 before, 1.1 n" {
		t.Errorf("sent %v", got)
	}
	for _, name := range []string{"X-Forwarded-For", "X-Mine", "Te", "Connection"} {
		if got.Get(name) != "" {
			t.Errorf("%s went on: %v", name, got)
		}
	}
	resp, err = b.client.Pass(within(t), http.MethodGet, ref(), b.rule, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, resp.Body); !errors.Is(err, ErrBroken) {
		t.Errorf("short body: %d bytes, error %v", n, err)
	}
	resp, err = b.client.Pass(within(t), http.MethodHead, ref(), b.rule, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, resp.Body); err != nil || n != 0 || resp.ContentLength != size {
		t.Errorf("HEAD: %d bytes, length %d, %v", n, resp.ContentLength, err)
	}
	resp, err = b.client.Pass(within(t), http.MethodPost, ref(), b.rule, http.Header{"Content-Length": {"4"}}, strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	e := b.origin.Ledger().Requests(path)[3]
	if e.Method != http.MethodPost || e.Header.Get("Content-Length") != "4" {
		t.Errorf("POST: %+v", e)
	}
}

func TestPassDoesNotGiveCredentialsAway(t *testing.T) {
	b := newBed(t, Config{})
	b.client.cfg.Lookup = func(string) (*storage.Rule, bool) { return b.rule, true }
	b.origin.Add(faultorigin.Object{Path: "/else", Size: 10})
	b.origin.Script(path, faultorigin.Behaviour{Location: "http://other.example.com/else"})
	in := http.Header{"Authorization": {"Basic x"}, "Cookie": {"a=b"}, "X-Own": {"1"}}
	resp, err := b.client.Pass(within(t), http.MethodGet, ref(), b.rule, in, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	got := b.origin.Ledger().Requests("/else")[0].Header
	if got.Get("Authorization") != "" || got.Get("Cookie") != "" || got.Get("X-Own") != "1" {
		t.Errorf("sent to the other host: %v", got)
	}
	resp, err = b.client.Pass(within(t), http.MethodDelete, ref(), b.rule, in, nil)
	if err != nil || resp.StatusCode != http.StatusFound {
		t.Fatalf("redirect of a DELETE: %v, %v", resp, err)
	}
	resp.Body.Close()
}
