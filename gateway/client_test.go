package gateway

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/netip"
	"testing"

	"github.com/mccd/mccd/storage"
)

func prefixes(t testing.TB, texts ...string) []netip.Prefix {
	t.Helper()
	var out []netip.Prefix
	for _, text := range texts {
		p, err := storage.ParsePrefix(text)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

func TestForwardedFor(t *testing.T) {
	trusted := prefixes(t, "10.0.0.0/8", "2001:db8:1::/48")
	for _, tt := range []struct {
		name       string
		xff, fwded []string
		want       string
	}{
		{"nothing", nil, nil, "10.0.0.1"},
		{"one", []string{"192.0.2.7"}, nil, "192.0.2.7"},
		{"a client that claims another", []string{"203.0.113.9, 192.0.2.7"}, nil, "192.0.2.7"},
		{"behind two balancers", []string{"203.0.113.9, 192.0.2.7, 10.9.9.9"}, nil, "192.0.2.7"},
		{"in several lines", []string{"203.0.113.9", "192.0.2.7", "10.9.9.9"}, nil, "192.0.2.7"},
		{"all are trusted", []string{"10.3.3.3, 10.2.2.2"}, nil, "10.3.3.3"},
		{"with ports", []string{"192.0.2.7:4711, 10.9.9.9:80"}, nil, "192.0.2.7"},
		{"IPv6", []string{"2001:db8::7, 2001:db8:1::5"}, nil, "2001:db8::7"},
		{"IPv6 with port", []string{"[2001:db8::7]:4711"}, nil, "2001:db8::7"},
		{"IPv6 in brackets", []string{"[2001:db8::7]"}, nil, "2001:db8::7"},
		{"IPv4 in IPv6", []string{"::ffff:192.0.2.7"}, nil, "192.0.2.7"},
		{"empty elements", []string{", 192.0.2.7 ,,"}, nil, "192.0.2.7"},
		{"no address", []string{"192.0.2.7, unknown"}, nil, "10.0.0.1"},
		{"no address behind a balancer", []string{"192.0.2.7, evil, 10.9.9.9"}, nil, "10.9.9.9"},
		{"garbage", []string{"\"192.0.2.7\""}, nil, "10.0.0.1"},
		{"IPv4 in brackets", []string{"[192.0.2.7]"}, nil, "10.0.0.1"},
		{"Forwarded", nil, []string{`for=192.0.2.43, for=198.51.100.17;by=10.0.0.1;proto=http`}, "198.51.100.17"},
		{"Forwarded IPv6", nil, []string{`For="[2001:db8::7]:4711"`}, "2001:db8::7"},
		{"Forwarded obfuscated", nil, []string{`for=192.0.2.43, for=_hidden`}, "10.0.0.1"},
		{"Forwarded without for", nil, []string{`by=192.0.2.43`}, "10.0.0.1"},
		{"Forwarded comma in quotes", nil, []string{`for=192.0.2.7;host="a,for=203.0.113.9"`}, "192.0.2.7"},
		{"Forwarded claim in quotes", nil, []string{`for=192.0.2.7;host="a,for=203.0.113.9;x="`}, "192.0.2.7"},
		{"Forwarded escaped quote", nil, []string{`for=192.0.2.7;host="a\",for=203.0.113.9;x=\""`}, "192.0.2.7"},
		{"Forwarded open quote", nil, []string{`for="203.0.113.9, for=192.0.2.7`}, "192.0.2.7"},
		{"both: X-Forwarded-For", []string{"192.0.2.7"}, []string{"for=203.0.113.9"}, "192.0.2.7"},
	} {
		h := http.Header{}
		if tt.xff != nil {
			h["X-Forwarded-For"] = tt.xff
		}
		if tt.fwded != nil {
			h["Forwarded"] = tt.fwded
		}
		got := forwardedFor(h, netip.MustParseAddr("10.0.0.1"), trusted)
		if got.String() != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func FuzzForwardedFor(f *testing.F) {
	f.Add("203.0.113.9, 192.0.2.7, 10.9.9.9", `for="[2001:db8::7]:4711";by=_x`)
	from := netip.MustParseAddr("10.0.0.1")
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	f.Fuzz(func(t *testing.T, xff, forwarded string) {
		for _, h := range []http.Header{{"X-Forwarded-For": {xff}}, {"Forwarded": {forwarded}}} {
			// What a client writes in front of what the balancer appends changes nothing.
			for name, lines := range h {
				appended := lines[0] + ", 192.0.2.7"
				if name == "Forwarded" {
					appended = lines[0] + ", for=192.0.2.7"
				}
				if got := forwardedFor(http.Header{name: {appended}}, from, trusted); got.String() != "192.0.2.7" {
					t.Fatalf("%s: %q: %s", name, appended, got)
				}
			}
			if got := forwardedFor(h, from, trusted); !got.IsValid() || got.Zone() != "" {
				t.Fatalf("%q: %s", h, got)
			}
		}
	})
}

// TestWhoAsks: the address that counts reaches the log, the fill and the list of
// clients.
func TestWhoAsks(t *testing.T) {
	for _, tt := range []struct {
		name           string
		proxy, forward []string
		intro          string
		lines          []string
		want           string
	}{
		{name: "by itself", want: "127.0.0.1", lines: []string{"X-Forwarded-For: 192.0.2.7"}},
		{name: "PROXY 1", proxy: []string{"127.0.0.0/8"}, intro: "PROXY TCP4 192.0.2.7 10.0.0.1 4711 80\r\n", want: "192.0.2.7"},
		{name: "PROXY 1, IPv6", proxy: []string{"127.0.0.1"}, intro: "PROXY TCP6 2001:db8::7 2001:db8::1 4711 80\r\n", want: "2001:db8::7"},
		{name: "PROXY 1, unknown", proxy: []string{"127.0.0.1"}, intro: "PROXY UNKNOWN\r\n", want: "127.0.0.1"},
		{name: "PROXY 2", proxy: []string{"127.0.0.1"}, want: "192.0.2.7",
			intro: "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x07\x0a\x00\x00\x01\x12\x67\x00\x50"},
		{name: "PROXY 2 with a TLV", proxy: []string{"127.0.0.1"}, want: "192.0.2.7",
			intro: "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x10\xc0\x00\x02\x07\x0a\x00\x00\x01\x12\x67\x00\x50\x04\x00\x01x"},
		{name: "PROXY 2, local", proxy: []string{"127.0.0.1"}, intro: "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00", want: "127.0.0.1"},
		{name: "PROXY and forwarded", proxy: []string{"127.0.0.1"}, forward: []string{"192.0.2.0/24"},
			intro: "PROXY TCP4 192.0.2.7 10.0.0.1 4711 80\r\n", lines: []string{"X-Forwarded-For: 198.51.100.9"}, want: "198.51.100.9"},
		{name: "forwarded", forward: []string{"127.0.0.1"}, lines: []string{"X-Forwarded-For: 203.0.113.1, 198.51.100.9"}, want: "198.51.100.9"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := startNode(t, 1000, func(c *Config) {
				c.ProxyProtocol, c.TrustedForwarders = prefixes(t, tt.proxy...), prefixes(t, tt.forward...)
				c.AllowClients = prefixes(t, tt.want)
			})
			for _, hand := range []string{"X: y", "Connection: x"} {
				a := n.send(t, tt.intro+request("GET", doHost, "/f", append(tt.lines, hand)...))
				if a.status != 200 || len(a.body) != 1000 {
					t.Errorf("%d %v", a.status, a.err)
				}
			}
			reqs := n.source.requests()
			if len(reqs) != 2 || reqs[0].Client.String() != tt.want || reqs[1].Client.String() != tt.want {
				t.Errorf("the fill is told %+v", reqs)
			}
			n.log.await(t, `"client":"`+tt.want+`"`)
		})
	}
}

// TestWhoAsksUnderTLS: the header comes before TLS, and counts for what HTTP/2
// carries too.
func TestWhoAsksUnderTLS(t *testing.T) {
	for _, version := range []int{1, 2} {
		n := startNode(t, 1000, func(c *Config) {
			c.HTTP2, c.ProxyProtocol, c.AllowClients = true, prefixes(t, "127.0.0.1"), prefixes(t, "192.0.2.7")
			c.underTLS(t)
		})
		protocols := new(http.Protocols)
		protocols.SetHTTP1(version == 1)
		protocols.SetHTTP2(version == 2)
		transport := &http.Transport{
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, Protocols: protocols,
			DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
				c, err := new(net.Dialer).DialContext(ctx, network, addr)
				if err == nil {
					_, err = io.WriteString(c, "PROXY TCP4 192.0.2.7 10.0.0.1 4711 443\r\n")
				}
				return c, err
			},
		}
		resp, err := (&http.Client{Transport: transport}).Get("https://" + n.addr + "/a?cacheHostOrigin=" + doHost)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != 200 || resp.ProtoMajor != version || n.source.requests()[0].Client.String() != "192.0.2.7" {
			t.Errorf("%s: %s, %+v", resp.Proto, resp.Status, n.source.requests())
		}
		resp.Body.Close()
		transport.CloseIdleConnections()
	}
}

// TestIntroductionIsRequired: from who is listed, and from nobody else.
func TestIntroductionIsRequired(t *testing.T) {
	listed := startNode(t, 1000, func(c *Config) { c.ProxyProtocol = prefixes(t, "127.0.0.1") })
	for _, intro := range []string{
		"", "PROXY TCP4 192.0.2.7 10.0.0.1 4711\r\n", "PROXY TCP4 192.0.2.7 10.0.0.1 4711 80\n", "PROXY TCP4 2001:db8::7 2001:db8::1 1 2\r\n",
		"PROXY UDP4 192.0.2.7 10.0.0.1 4711 80\r\n", "proxy TCP4 192.0.2.7 10.0.0.1 4711 80\r\n", "PROXY TCP4 192.0.2.256 10.0.0.1 4711 80\r\n",
		"\r\n\r\n\x00\r\nQUIT\n\x31\x11\x00\x0c\xc0\x00\x02\x07\x0a\x00\x00\x01\x12\x67\x00\x50", "\r\n\r\n\x00\r\nQUIT\n\x21\x11\xff\xff",
	} {
		if a := listed.send(t, intro+request("GET", doHost, "/f")); a.err == nil || a.status != 0 {
			t.Errorf("%q: %d", intro, a.status)
		}
	}
	if got := listed.metric(t, "mccd_gateway_proxy_header_faults_total"); got != 9 {
		t.Errorf("%v faults counted", got)
	}
	if len(listed.source.requests()) != 0 {
		t.Error("a request was served")
	}
	other := startNode(t, 1000, func(c *Config) { c.ProxyProtocol = prefixes(t, "192.0.2.0/24") })
	if a := other.send(t, "PROXY TCP4 192.0.2.7 10.0.0.1 4711 80\r\n"+request("GET", doHost, "/f")); a.status != 400 {
		t.Errorf("from anybody: %d", a.status)
	}
}

// TestAllowClients: no status that bans in profile do (docs/clients.md section 5).
func TestAllowClients(t *testing.T) {
	n := startNode(t, 1000, func(c *Config) {
		c.ProxyProtocol, c.AllowClients = prefixes(t, "127.0.0.1"), prefixes(t, "192.0.2.0/24")
		c.Summary = func() []byte { return []byte("{}") }
	})
	ask := func(from, host, target string) int {
		intro := "PROXY TCP4 " + from + " 10.0.0.1 4711 80\r\n"
		return n.send(t, intro+request("GET", host, target)).status
	}
	for _, tt := range []struct {
		from, host, target string
		status             int
	}{
		{"192.0.2.7", doHost, "/f", 200}, {"198.51.100.1", doHost, "/f", 503}, {"198.51.100.1", httpHost, "/f", 403},
		{"192.0.2.7", "cache", "/summary", 200}, {"198.51.100.1", "cache", "/summary", 403}, {"127.0.0.1", doHost, "/f", 200},
	} {
		if got := ask(tt.from, tt.host, tt.target); got != tt.status {
			t.Errorf("%s asks %s%s: %d, want %d", tt.from, tt.host, tt.target, got, tt.status)
		}
	}
	if got := n.metric(t, "mccd_gateway_denied_clients_total"); got != 2 {
		t.Errorf("%v denied", got)
	}
}

func TestSummaryAtTheClientsPort(t *testing.T) {
	n := startNode(t, 1000, func(c *Config) { c.Summary = func() []byte { return []byte(`{"hitBytes":1}` + "\n") } })
	for _, tt := range []struct {
		raw    string
		status int
		body   string
	}{
		{request("GET", "127.0.0.1", "/summary"), 200, "{\"hitBytes\":1}\n"},
		{request("GET", "cache.example", "/summary?x=1"), 200, "{\"hitBytes\":1}\n"},
		{request("HEAD", "cache.example:80", "/summary"), 200, ""},
		{request("POST", "cache.example", "/summary"), 403, ""},
		{request("GET", "cache.example", "/summary/"), 403, ""},
		{request("GET", "cache.example", "/summary?cacheHostOrigin=other.example"), 403, ""},
		{request("GET", doHost, "/summary"), 200, string(n.source.data)},
	} {
		a := n.send(t, tt.raw)
		if a.status != tt.status || a.status == 200 && string(a.body) != tt.body {
			t.Errorf("%q: %d %.40q", tt.raw, a.status, a.body)
		}
	}
}

// TestLiterals: an address is an origin only by cacheHostOrigin, and if the
// catalogue lists it.
func TestLiterals(t *testing.T) {
	n := startNode(t, 1000, func(c *Config) { c.Catalogue = literalCatalogue{} })
	for _, tt := range []struct {
		host, target string
		ref          string // empty: 403
	}{
		{"cache", "/f?cacheHostOrigin=192.0.2.7", "192.0.2.7"},
		{"cache", "/f?a=1&cacheHostOrigin=192.0.2.7:8080", "192.0.2.7:8080"},
		{"cache", "/f?cacheHostOrigin=[2001:DB8:0::7]", "[2001:db8::7]"},
		{"cache", "/f?cacheHostOrigin=%5b2001:db8::7%5d:8080", "[2001:db8::7]:8080"},
		{"192.0.2.7", "/f", ""},
		{"cache", "/f?cacheHostOrigin=192.0.2.8", ""},
		{"cache", "/f?cacheHostOrigin=192.0.2.007", ""},
		{"cache", "/f?cacheHostOrigin=3221225991", ""},
		{"cache", "/f?cacheHostOrigin=0xc0000207", ""},
		{"cache", "/f?cacheHostOrigin=192.0.2.7.", ""},
		{"cache", "/f?cacheHostOrigin=2001:db8::7", ""},
		{"cache", "/f?cacheHostOrigin=[::ffff:192.0.2.7]", ""},
		{"cache", "/f?cacheHostOrigin=[2001:db8::7%2525eth0]", ""},
		{"cache", "/f?cacheHostOrigin=[192.0.2.7]", ""},
		{"cache", "/f?cacheHostOrigin=[2001:db8::7]x", ""},
		{"cache", "/f?cacheHostOrigin=[2001:db8::7", ""},
	} {
		before := len(n.source.requests())
		a := n.get(t, tt.host, tt.target)
		reqs := n.source.requests()[before:]
		switch {
		case tt.ref == "" && (a.status != 403 || len(reqs) != 0):
			t.Errorf("%s: %d", tt.target, a.status)
		case tt.ref != "" && (a.status != 200 || len(reqs) != 1 || reqs[0].Ref.Host != tt.ref):
			t.Errorf("%s: %d %+v", tt.target, a.status, reqs)
		}
	}
}

type literalCatalogue struct{}

func (literalCatalogue) Lookup(host string) (*storage.Rule, bool) {
	if host != "192.0.2.7" && host != "2001:db8::7" {
		return nil, false
	}
	return &storage.Rule{Name: "ip", Profile: storage.ProfileDO, Ports: []int{80, 8080}}, true
}
