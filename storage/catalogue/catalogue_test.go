package catalogue_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/catalogue"
)

func build(t *testing.T, cfg catalogue.Config) *catalogue.Catalogue {
	t.Helper()
	c, err := catalogue.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// docs/clients.md section 7.
func TestBuiltinHosts(t *testing.T) {
	c := build(t, catalogue.Config{Builtin: true})
	tests := map[string]string{ // host -> rule, "" = not served
		"au.download.windowsupdate.com":           "windows-update",
		"download.windowsupdate.com":              "windows-update",
		"x.b1.download.windowsupdate.com":         "windows-update",
		"2.au.b1.download.windowsupdate.com":      "windows-update",
		"dl.delivery.mp.microsoft.com":            "windows-update",
		"tlu.dl.delivery.mp.microsoft.com":        "windows-update",
		"7.tlu.dl.delivery.mp.microsoft.com":      "windows-update",
		"ctldl.windowsupdate.com":                 "windows-update",
		"a.emdl.ws.microsoft.com":                 "windows-update",
		"msedge.b.delivery.mp.microsoft.com":      "edge",
		"delivery.mp.microsoft.com":               "edge",
		"officecdn.microsoft.com":                 "office",
		"a.officecdn.microsoft.com.edgesuite.net": "office",
		"res.public.cdn.office.net":               "office",
		"fg.tscdn.m365.static.microsoft":          "office",
		"x.fg.tscdn.m365.static.microsoft":        "",
		"naprodimedatapri.manage.microsoft.com":   "intune",
		"swda01.manage.microsoft.com":             "intune",
		"swdd02-mscdn.manage.microsoft.com":       "intune",
		"statics.teams.cdn.office.net":            "teams",
		"installer.teams.static.microsoft":        "teams",
		"res.cdn.office.net":                      "teams",
		"a.res.cdn.office.net":                    "teams",
		"assets1.xboxlive.com":                    "xbox",
		"a.xvcf2.xboxlive.com":                    "xbox",
		"xvc-origin.xboxlive.com":                 "xbox",
		"a.xvc-origin.xboxlive.com":               "",
		"xboxlive.com":                            "",
		"assets.xbox.com":                         "xbox",
		"b.dcsfe.prod.adu.microsoft.com":          "device-update",
		"nlu.dl.adu.microsoft.com":                "device-update",
		"microsoft.com":                           "",
		"windowsupdate.com":                       "",
		"evil-download.windowsupdate.com":         "",
		"download.windowsupdate.com.evil.example": "",
		"example.com":                             "",
		"com":                                     "",
		"":                                        "",
		".":                                       "",
		"127.0.0.1":                               "",
	}
	for host, want := range tests {
		r, ok := c.Lookup(host)
		if got := name(r); got != want || ok != (want != "") {
			t.Errorf("Lookup(%q) = %q, %v; want %q", host, got, ok, want)
		}
	}
}

func name(r *storage.Rule) string {
	if r == nil {
		return ""
	}
	return r.Name
}

func TestBuiltinFacts(t *testing.T) {
	c := build(t, catalogue.Config{Builtin: true})
	if n := len(c.Rules()); n != 7 {
		t.Errorf("%d rules, want 7", n)
	}
	const files = "/filestreamingservice/files/7bc846e0-af9c-49be-a03d-bb04428c9bb5/"
	for _, r := range c.Rules() {
		facts := map[string]bool{
			"profile do":              r.Profile == storage.ProfileDO,
			"query not in the key":    !r.QueryInKey,
			"last-modified + length":  r.LastModifiedLength,
			"immutable":               r.Immutable(files + "Microsoft.png"),
			"others not immutable":    !r.Immutable("/d/msdownload/x.cab"),
			"404 of pieceshash":       r.PassesNotFound(files + "pieceshash"),
			"no other 404":            !r.PassesNotFound(files + "Microsoft.png"),
			"authrootstl":             r.RevalidateAlways("/msdownload/update/v3/static/trustedr/en/authrootstl.cab"),
			"pinrulesstl":             r.RevalidateAlways("/a/pinrulesstl.cab"),
			"disallowedcertstl":       r.RevalidateAlways("/a/disallowedcertstl.cab"),
			"disallowedcert":          r.RevalidateAlways("/a/disallowedcert.sst"),
			"others not always":       !r.RevalidateAlways("/a/other.cab"),
			"port 80":                 r.AllowsPort(80),
			"https clients":           r.AllowsPort(443),
			"no other port":           !r.AllowsPort(8080),
			"schemes apart":           !r.JoinSchemes,
			"private addresses never": !r.AllowPrivate && r.Connect == "",
			"has a product":           r.Product != "",
		}
		for fact, ok := range facts {
			if !ok {
				t.Errorf("rule %s: not %s", r.Name, fact)
			}
		}
	}
}

func TestPrecedence(t *testing.T) {
	rule := func(name string, hosts ...string) storage.Rule {
		return storage.Rule{Name: name, Profile: storage.ProfileDO, Hosts: hosts}
	}
	c := build(t, catalogue.Config{Builtin: true, Rules: []storage.Rule{
		rule("same", "*.download.WindowsUpdate.com."),
		rule("wider", "*.windowsupdate.com"),
		rule("exact", "a.au.download.windowsupdate.com"),
		rule("address", "192.0.2.7"),
	}})
	for host, want := range map[string]string{
		"x.download.windowsupdate.com":    "same",
		"au.download.windowsupdate.com":   "windows-update", // built-in, but longer
		"a.au.download.windowsupdate.com": "exact",
		"b.au.download.windowsupdate.com": "windows-update",
		"other.windowsupdate.com":         "wider",
		"windowsupdate.com":               "wider",
		"192.0.2.7":                       "address",
	} {
		if r, _ := c.Lookup(host); name(r) != want {
			t.Errorf("Lookup(%q) = %q, want %q", host, name(r), want)
		}
	}
}

func TestDefaultsOfConfiguredRules(t *testing.T) {
	c := build(t, catalogue.Config{Rules: []storage.Rule{
		{Profile: storage.ProfileDO, Hosts: []string{"do.example.com"}, PassNotFound: []string{}},
		{Profile: storage.ProfileHTTP, Hosts: []string{"*.http.example.com"}},
	}})
	do, _ := c.Lookup("do.example.com")
	if !do.LastModifiedLength || do.QueryInKey || !do.RevalidateAlways("/authrootstl.cab") || !do.Immutable("/filestreamingservice/files/x") {
		t.Errorf("do: %+v", do)
	}
	if do.PassesNotFound("/pieceshash") {
		t.Error("an empty list was filled in")
	}
	if do.Name != "do.example.com" || do.Product != do.Name {
		t.Errorf("name %q, product %q", do.Name, do.Product)
	}
	h, _ := c.Lookup("a.http.example.com")
	if !h.QueryInKey || h.LastModifiedLength || !h.PassesNotFound("/x") || h.Name != "http.example.com" {
		t.Errorf("http: %+v", h)
	}
	r := catalogue.Defaults(storage.ProfileHTTP)
	r.Hosts, r.QueryInKey = []string{"a.example.com"}, false
	c = build(t, catalogue.Config{Rules: []storage.Rule{r}, Complete: true})
	if got, _ := c.Lookup("a.example.com"); got.QueryInKey {
		t.Error("a complete rule was changed")
	}
}

func TestFaultsAreReportedAllAtOnce(t *testing.T) {
	do := storage.ProfileDO
	tests := []struct {
		name  string
		rules []storage.Rule
		want  []string
	}{
		{"empty", []storage.Rule{{}}, []string{"origin 1 (no name): no profile", "origin 1 (no name): no hosts"}},
		{"hosts", []storage.Rule{{Profile: do, Name: "n", Hosts: []string{"*", "*.com", "http://a.b", "a.b:80", "a..b", "-a.b", "a.b/c", "1.2.3", "*.1.2.3.4", "a b", ""}}},
			[]string{`"*": would`, `"*.com": would`, `"http://a.b"`, `"a.b:80"`, `"a..b"`, `"-a.b"`, `"a.b/c"`, `"1.2.3"`, `"*.1.2.3.4"`, `"a b"`, `host ""`}},
		{"values", []storage.Rule{{
			Profile: 9, Name: "a b", Hosts: []string{"a.b"}, KeyHost: "x y", Ports: []int{0, 70000, 80, 80}, Connect: "nowhere",
			ImmutablePrefixes: []string{"x"}, AlwaysRevalidate: []string{"[", "a/b"}, PassNotFound: []string{""},
			FreshFor: -time.Second, MaxRequests: -1,
		}}, []string{"no profile", `name "a b"`, `key host "x y"`, "port 0", "port 70000", "port 80 is listed twice", `connect "nowhere"`,
			`immutable prefix "x"`, `pattern "["`, `pattern "a/b"`, `pattern ""`, "fresh for -1s", "max requests -1"}},
		{"connect", []storage.Rule{
			{Profile: do, Hosts: []string{"a.b"}, Connect: "127.0.0.1:80"},
			{Profile: do, Hosts: []string{"b.b"}, Connect: "[::ffff:10.0.0.1]:80"},
			{Profile: do, Hosts: []string{"c.b"}, Connect: "0.0.0.0:80", AllowPrivate: true},
			{Profile: do, Hosts: []string{"d.b"}, Connect: "a_host.example:0"},
		}, []string{"origin 1 (a.b): connect", "origin 2 (b.b): connect", "origin 3 (c.b): connect", "origin 4 (d.b): connect", "allow_private: true"}},
		{"clashes", []storage.Rule{
			{Profile: do, Name: "one", Hosts: []string{"a.b", "A.b"}, KeyHost: "k.b"},
			{Profile: do, Name: "one", Hosts: []string{"a.b."}, KeyHost: "K.b"},
		}, []string{`origin 1 (one): host "a.b" is listed twice`, "origin 2 (one): name is that of origin 1",
			`origin 2 (one): host "a.b" is served by origin 1 (one) too`, `origin 2 (one): key host "k.b"`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := catalogue.New(catalogue.Config{Builtin: true, Rules: tt.rules})
			if err == nil || c != nil {
				t.Fatal("no fault reported")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in\n%v", want, err)
				}
			}
		})
	}
}

func TestConnectWithAllowPrivate(t *testing.T) {
	build(t, catalogue.Config{Rules: []storage.Rule{{Profile: storage.ProfileDO, Hosts: []string{"a.b"}, Connect: "127.0.0.1:8080", AllowPrivate: true}}})
}

func TestLookupDoesNotAllocate(t *testing.T) {
	c := build(t, catalogue.Config{Builtin: true})
	for _, host := range []string{"7.tlu.dl.delivery.mp.microsoft.com", "a.b.c.d.example.com"} {
		if n := testing.AllocsPerRun(100, func() { c.Lookup(host) }); n != 0 {
			t.Errorf("Lookup(%q) allocates %v times", host, n)
		}
	}
}

func TestRulesAreNotShared(t *testing.T) {
	hosts := []string{"a.example.com"}
	c := build(t, catalogue.Config{Rules: []storage.Rule{{Profile: storage.ProfileDO, Hosts: hosts}}})
	hosts[0] = "changed"
	c.Rules()[0] = nil
	if r := c.Rules()[0]; r == nil || r.Hosts[0] != "a.example.com" {
		t.Errorf("catalogue changed from outside: %+v", r)
	}
}

func FuzzNew(f *testing.F) {
	f.Add("*.example.com", "127.0.0.1:80", "a.example.com")
	f.Fuzz(func(t *testing.T, host, connect, ask string) {
		c, err := catalogue.New(catalogue.Config{Builtin: true, Rules: []storage.Rule{{
			Profile: storage.ProfileDO, Hosts: []string{host}, Connect: connect, AllowPrivate: true,
		}}})
		if err != nil {
			return
		}
		if r, ok := c.Lookup(ask); ok != (r != nil) {
			t.Errorf("Lookup(%q) = %v, %v", ask, r, ok)
		}
		if r, ok := c.Lookup(strings.TrimPrefix(c.Rules()[7].Hosts[0], "*.")); !ok {
			t.Errorf("the bare name of %q is not served: %v", host, r)
		}
	})
}

func TestLiteralsAreAnExplicitPolicy(t *testing.T) {
	none, err := catalogue.New(catalogue.Config{Builtin: true})
	if err != nil {
		t.Fatal(err)
	}
	some, err := catalogue.New(catalogue.Config{Builtin: true, Literals: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}})
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]bool{"10.1.2.3": true, "::ffff:10.1.2.3": true, "10.2.0.1": false, "2001:db8::1": false, "name.example": false} {
		if _, ok := none.Lookup(host); ok {
			t.Errorf("%s is served though nothing says so", host)
		}
		r, ok := some.Lookup(host)
		if ok != want || ok && (r.Name != "ip" || !r.AllowPrivate || r.Profile != storage.ProfileDO) {
			t.Errorf("%s: %+v, %t", host, r, ok)
		}
	}
}

func TestUpstreamIsJudged(t *testing.T) {
	for _, bad := range []storage.Rule{
		{Upstream: "proxy:3128"}, {Upstream: "http://u:p@proxy:3128"}, {Upstream: "cache://x/path"},
		{Upstream: "http://proxy:3128", Connect: "192.0.2.1:80"},
	} {
		bad.Profile, bad.Hosts = storage.ProfileHTTP, []string{"origin.example"}
		if _, err := catalogue.New(catalogue.Config{Rules: []storage.Rule{bad}}); err == nil {
			t.Errorf("upstream %q beside connect %q is taken", bad.Upstream, bad.Connect)
		}
	}
	good := storage.Rule{Profile: storage.ProfileHTTP, Hosts: []string{"origin.example"}, Upstream: "direct", Connect: "192.0.2.1:80"}
	if _, err := catalogue.New(catalogue.Config{Rules: []storage.Rule{good}}); err != nil {
		t.Error(err)
	}
}
