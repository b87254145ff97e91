package gateway

import (
	"crypto/tls"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestParseHost(t *testing.T) {
	long := strings.Repeat("a", 63)
	for _, tt := range []struct {
		in, host string
		port     int
		ok       bool
	}{
		{"example.org", "example.org", 0, true},
		{"EXAMPLE.Org.", "example.org", 0, true},
		{"example.org:8080", "example.org", 8080, true},
		{"example.org.:80", "example.org", 80, true},
		{"xn--bcher-kva.example", "xn--bcher-kva.example", 0, true},
		{"_dl.ex-ample.org", "_dl.ex-ample.org", 0, true},
		{"localhost", "localhost", 0, true}, // a name like others: the catalogue decides
		{"1.2.3.4.example", "1.2.3.4.example", 0, true},
		{long + ".org", long + ".org", 0, true},
		{in: ""}, {in: "."}, {in: ".."}, {in: "a..b"}, {in: ".a"}, {in: "a.."},
		{in: long + "a.org"}, {in: strings.Repeat("a.", 127) + "a"},
		{in: "example.org:"}, {in: "example.org:0"}, {in: "example.org:65536"}, {in: "example.org:-1"},
		{in: "example.org:+80"}, {in: "example.org:080"}, {in: "example.org:8o"}, {in: "example.org:99999999999999999999"},
		{in: "example.org:80:80"}, {in: ":80"},
		{in: "user@example.org"}, {in: "user:pass@example.org"}, {in: "example.org/path"}, {in: "example.org?x"},
		{in: "example.org#x"}, {in: "http://example.org"}, {in: "exa mple.org"}, {in: " example.org"}, {in: "example.org\t"},
		{in: "example.org\x00"}, {in: "example.org\r\nX: y"}, {in: "exämple.org"}, {in: "example.org\u2024"}, {in: "\u212adl.org"},
		{in: "-a.org"}, {in: "a-.org"}, {in: "*.example.org"}, {in: "a,b"}, {in: "a\\b"}, {in: "%65xample.org"},
		// IP literals in every form that some resolver takes.
		{in: "127.0.0.1"}, {in: "127.0.0.1:80"}, {in: "127.0.0.1."}, {in: "127.1"}, {in: "2130706433"}, {in: "0x7f000001"},
		{in: "0x7f.1"}, {in: "0X7F.0.0.1"}, {in: "0177.0.0.1"}, {in: "1.2.3.0x4"}, {in: "0x"}, {in: "a.0x"}, {in: "999.999.999.999"},
		{in: "::1"}, {in: "[::1]"}, {in: "[::1]:80"}, {in: "::ffff:127.0.0.1"}, {in: "[fe80::1%25eth0]"}, {in: "fe80::1%eth0"},
	} {
		host, port, ok := parseHost(tt.in)
		if host != tt.host || port != tt.port || ok != tt.ok {
			t.Errorf("parseHost(%q) = %q, %d, %v; want %q, %d, %v", tt.in, host, port, ok, tt.host, tt.port, tt.ok)
		}
	}
}

func TestCutOrigin(t *testing.T) {
	for _, tt := range []struct {
		query, origin, rest string
		found, refused      bool
	}{
		{query: ""},
		{query: "a=1&b=2", rest: "a=1&b=2"},
		{query: "cacheHostOrigin=h.org", origin: "h.org", found: true},
		{query: "P1=1&P4=aB%2bc%2fd%3d%3d&cacheHostOrigin=h.org", origin: "h.org", rest: "P1=1&P4=aB%2bc%2fd%3d%3d", found: true},
		{query: "cacheHostOrigin=h.org&P1=1", origin: "h.org", rest: "P1=1", found: true},
		{query: "b=2&cacheHostOrigin=h.org&A=1", origin: "h.org", rest: "b=2&A=1", found: true},
		{query: "a&&cacheHostOrigin=h.org", origin: "h.org", rest: "a&", found: true},
		{query: "&cacheHostOrigin=h.org", origin: "h.org", found: true},
		{query: "a=%zz&cacheHostOrigin=h.org", origin: "h.org", rest: "a=%zz", found: true},
		{query: "CACHEHOSTORIGIN=h.org", origin: "h.org", found: true},
		{query: "cacheHostOrigin=h.org%3a8080", origin: "h.org:8080", found: true},
		{query: "cacheHostOrigin=h.org&a=1&cacheHostOrigin=H.org", origin: "H.org", rest: "a=1", found: true},
		{query: "cacheHostOrigin=h.org&cacheHostOrigin=h.org", origin: "h.org", found: true},
		{query: "cacheHostOrigin", found: true},
		{query: "xcacheHostOrigin=h.org", rest: "xcacheHostOrigin=h.org"},
		{query: "a=cacheHostOrigin=h.org", rest: "a=cacheHostOrigin=h.org"},
		{query: "cacheHostOrigin=h.org&cacheHostOrigin=g.org", found: true, refused: true},
		{query: "cacheHostOrigin=h%zz", found: true, refused: true},
		{query: "cacheHostOrigin=h%2", found: true, refused: true},
	} {
		origin, rest, found, bad := cutOrigin(tt.query)
		if found != tt.found || (bad != nil) != tt.refused || bad == nil && (origin != tt.origin || rest != tt.rest) {
			t.Errorf("cutOrigin(%q) = %q, %q, %v, %v", tt.query, origin, rest, found, bad)
		}
	}
}

func TestName(t *testing.T) {
	g := &Gateway{cfg: Config{Catalogue: &fakeCatalogue{}}}
	for _, tt := range []struct {
		host, target string
		https        bool
		status       int // 0: named
		want         string
		query        string
	}{
		{host: "cache", target: "/a/B%2f//c?x=1&cacheHostOrigin=" + doHost, want: "http://" + doHost + "/a/B%2f//c", query: "x=1"},
		{host: "cache", target: "/a?cacheHostOrigin=" + doHost + ":8080", want: "http://" + doHost + ":8080/a"},
		{host: "cache", target: "/a?cacheHostOrigin=" + doHost + ":80", want: "http://" + doHost + "/a"},
		{host: "cache", target: "/a?cacheHostOrigin=" + doHost, https: true, want: "https://" + doHost + "/a"},
		{host: doHost, target: "/", want: "http://" + doHost + "/"},
		{host: doHost + ".", target: "//double", want: "http://" + doHost + "//double"},
		{host: doHost, target: "/ä?ö", want: "http://" + doHost + "/ä", query: "ö"},
		{host: "cache", target: "http://" + doHost + "/a?b", want: "http://" + doHost + "/a", query: "b"},
		{host: "cache", target: "HTTP://" + doHost, want: "http://" + doHost + "/"},
		{host: "cache", target: "https://" + doHost + "/a", https: true, want: "https://" + doHost + "/a"},
		{host: doHost, target: "http://other/a?cacheHostOrigin=" + httpHost, want: "http://" + httpHost + "/a"},
		{host: doHost, target: "/a.../..b/.c/d.", want: "http://" + doHost + "/a.../..b/.c/d."},
		{host: doHost, target: "/%252e%252e/a", want: "http://" + doHost + "/%252e%252e/a"},
		{host: doHost, target: "/a\\b", status: 400},
		{host: doHost, target: "/a/../b", status: 400},
		{host: doHost, target: "/..", status: 400},
		{host: doHost, target: "/a/.", status: 400},
		{host: doHost, target: "/a/%2e%2E/b", status: 400},
		{host: doHost, target: "/a%2f..%2fb", status: 400},
		{host: doHost, target: "/a%5c..%5cb", status: 400},
		{host: doHost, target: "/a%00", status: 400},
		{host: doHost, target: "/a%zz", status: 400},
		{host: doHost, target: "/a%2", status: 400},
		{host: doHost, target: "/a#b", status: 400},
		{host: doHost, target: "a", status: 400},
		{host: doHost, target: "*", status: 400},
		{host: doHost, target: "http:///a", status: 400},
		{host: doHost, target: "https://" + doHost + "/a", status: 403},
		{host: doHost, target: "ftp://" + doHost + "/a", status: 403},
		{host: doHost, target: "http://other.example/a", status: 403},
		{host: doHost, target: "http://u:p@" + doHost + "/a", status: 403},
		{host: "other.example", target: "/a", status: 403},
		{host: "", target: "/a", status: 403},
		{host: doHost + ":81", target: "/a", status: 403},
		{host: doHost, target: "/a?cacheHostOrigin=other.example", status: 403},
		{host: doHost, target: "/a?cacheHostOrigin=", status: 403},
		{host: doHost, target: "/a?cacheHostOrigin=127.0.0.1", status: 403},
	} {
		r := &http.Request{Method: "GET", Host: tt.host, RequestURI: tt.target}
		if tt.https {
			r.TLS = &tls.ConnectionState{}
		}
		ref, rule, bad := g.name(r)
		switch {
		case tt.status != 0 && (bad == nil || bad.status != tt.status):
			t.Errorf("%q %q: %v, %+v; want %d", tt.host, tt.target, ref, bad, tt.status)
		case tt.status == 0 && (bad != nil || ref.String() != tt.want || ref.Query != tt.query || rule == nil):
			t.Errorf("%q %q: %v, query %q, %+v; want %s", tt.host, tt.target, ref, ref.Query, bad, tt.want)
		}
	}
}

// TestKeyRules: the rule's part of the key reaches the Ref.
func TestKeyRules(t *testing.T) {
	g := &Gateway{cfg: Config{Catalogue: &fakeCatalogue{}}}
	id := func(host, target string) string {
		ref, _, bad := g.name(&http.Request{Method: "GET", Host: host, RequestURI: target})
		if bad != nil {
			t.Fatal(bad.text)
		}
		return ref.ID().String()
	}
	if id(doHost, "/a?P1=1") != id("cache", "/a?P1=2&cacheHostOrigin="+doHost) {
		t.Error("a signed query is part of the key of a do host")
	}
	if id(httpHost, "/a?v=1") == id(httpHost, "/a?v=2") {
		t.Error("the query is no part of the key of an http host")
	}
}

func FuzzOriginName(f *testing.F) {
	for _, s := range []string{"cacheHostOrigin=h.org", "a=1&cacheHostOrigin=h.org:80&b", "cacheHostOrigin=0x7f.1", "cacheHostOrigin=[::1]",
		"cacheHostOrigin=a%20b", "cacheHostOrigin=u@h", "cacheHostOrigin=%zz", "&&cachehostorigin=A.B.&cacheHostOrigin=a.b.", "cacheHostOrigin=127.0.0.1%2e"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, query string) {
		origin, rest, found, bad := cutOrigin(query)
		if bad != nil {
			return
		}
		isOrigin := func(p string) bool {
			key, _, _ := strings.Cut(p, "=")
			return strings.EqualFold(key, originParam)
		}
		before := strings.Split(query, "&")
		kept := slices.DeleteFunc(slices.Clone(before), isOrigin)
		if found != (len(kept) < len(before)) {
			t.Fatalf("found %v in %q", found, query)
		}
		if rest != strings.Join(kept, "&") {
			t.Fatalf("rest of %q is %q", query, rest)
		}
		host, port, ok := parseHost(origin)
		if !ok {
			return
		}
		if _, err := netip.ParseAddr(host); err == nil || host == "" || host != strings.ToLower(host) || port < 0 || port > 65535 ||
			strings.ContainsAny(host, "/\\@:[]%?# \t\r\n\x00") || strings.HasSuffix(host, ".") {
			t.Fatalf("parseHost(%q) = %q, %d", origin, host, port)
		}
		if again, _, ok := parseHost(host); !ok || again != host {
			t.Fatalf("%q is not read as itself", host)
		}
	})
}
