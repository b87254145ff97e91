package storage

import (
	"net/netip"
	"strings"
	"testing"
)

func TestParseUpstream(t *testing.T) {
	for text, want := range map[string]Upstream{
		"":                              {},
		"direct":                        {Way: WayDirect},
		"http://Proxy.example:3128":     {Way: WayProxy, Host: "proxy.example:3128"},
		"http://[2001:db8::1]:3128/":    {Way: WayProxy, Host: "[2001:db8::1]:3128"},
		"cache://parent.example":        {Way: WayCache, Host: "parent.example:80", HTTPS: "parent.example:443"},
		"cache://192.0.2.1:8080":        {Way: WayCache, Host: "192.0.2.1:8080", HTTPS: "192.0.2.1:443"},
		"cache://p:8080?https=8443":     {Way: WayCache, Host: "p:8080", HTTPS: "p:8443"},
		"cache://parent.example./":      {Way: WayCache, Host: "parent.example:80", HTTPS: "parent.example:443"},
		"http://user:secret@proxy:3128": {}, "http://proxy": {}, "https://proxy:3128": {}, "socks5://proxy:1080": {},
		"cache://": {}, "cache://h/path": {}, "cache://h:0": {}, "cache://h:99999": {}, "cache://h?http=1": {},
		"cache://h?https=x": {}, "proxy:3128": {}, "http://proxy:3128?x=1": {}, "://": {},
	} {
		got, err := ParseUpstream(text)
		if good := want.Way != WayDefault || text == ""; good != (err == nil) || good && got != want {
			t.Errorf("%q: %+v, %v; want %+v", text, got, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: the error tells the password: %v", text, err)
		}
	}
	if _, err := ParseUpstream("proxy.example:3128"); err == nil || !strings.Contains(err.Error(), "http://host:port for a proxy") {
		t.Errorf("an upstream that says not what it is: %v", err)
	}
}

func TestBypass(t *testing.T) {
	b, err := ParseBypass([]string{"Exact.example.", "*.suffix.example", "192.0.2.0/24", "2001:db8::1"})
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]bool{
		"exact.example": true, "a.exact.example": false, "suffix.example": true, "a.b.suffix.example": true,
		"notsuffix.example": false, "192.0.2.9": true, "::ffff:192.0.2.9": true, "192.0.3.9": false,
		"2001:db8::1": true, "2001:db8::2": false, "": false,
	} {
		if b.Has(host) != want {
			t.Errorf("%q: %t, want %t", host, !want, want)
		}
	}
	if (Bypass{}).Has("exact.example") {
		t.Error("the zero Bypass has a host")
	}
	for _, bad := range []string{"", "*", "a*b", "http://x", "x:80", "192.0.2.0/33", "a b"} {
		if _, err := ParseBypass([]string{bad}); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestHoldsUnmaps(t *testing.T) {
	p := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	if !Holds(p, netip.MustParseAddr("::ffff:10.1.2.3")) || Holds(p, netip.MustParseAddr("11.0.0.1")) {
		t.Error("prefix is compared wrongly")
	}
}

func FuzzParseUpstream(f *testing.F) {
	for _, s := range []string{"", "direct", "http://p:1", "cache://p?https=2", "http://u:p@h:1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		up, err := ParseUpstream(s)
		if err == nil && up.Way >= WayProxy && (up.Host == "" || strings.ContainsAny(up.Host, " @/\r\n")) {
			t.Errorf("%q gives the address %q", s, up.Host)
		}
	})
}
