package testcluster_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mccd/mccd/cmd/mccd/node"
	"github.com/mccd/mccd/storage"
	"github.com/mccd/mccd/storage/catalogue"
	"github.com/mccd/mccd/test/faultorigin"
	"github.com/mccd/mccd/test/loopback"
	"github.com/mccd/mccd/test/testcluster"
)

// rulesFor returns the rules of both profiles that lead to o, by way of
// upstream.
func rulesFor(o *faultorigin.Server, upstream string) (rules []storage.Rule) {
	for profile, name := range map[storage.Profile]string{storage.ProfileHTTP: host, storage.ProfileDO: updates} {
		rule := catalogue.Defaults(profile)
		rule.Name, rule.Hosts, rule.Connect, rule.AllowPrivate, rule.Upstream = name, []string{name}, o.Addr(), true, upstream
		rules = append(rules, rule)
	}
	return rules
}

// A cluster whose parent is another cluster takes from the origin what both
// want once, and goes on without it.
func TestParentCluster(t *testing.T) {
	const size = 9<<20 + 5
	objects := []faultorigin.Object{{Path: "/a", Size: size}, {Path: "/b", Size: size}, {Path: "/c", Size: 1 << 20}}
	o := faultorigin.New(faultorigin.Config{Objects: objects})
	t.Cleanup(o.Close)
	parent := testcluster.New(t, testcluster.Config{Nodes: 2, Origins: rulesFor(o, "")})
	child := testcluster.New(t, testcluster.Config{Nodes: 2, Origins: rulesFor(o, "cache://"+parent.Nodes[1].Addr())}) // whose nodes have the same names
	ctx := timeout(t)
	for _, name := range []string{host, updates} {
		path := map[string]string{host: "/a", updates: "/b"}[name]
		for _, n := range []*testcluster.Node{child.Nodes[0], child.Nodes[1], parent.Nodes[0]} {
			if err := getFrom(ctx, n, name, path, "1", storage.Span{}); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if err := getFrom(ctx, n, name, path, "1", storage.Span{Off: 8 << 20, End: 8<<20 + 1000}); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if sent := o.Ledger().Bytes(path); sent != size {
			t.Errorf("%s: the origin sent %d bytes, want %d", name, sent, size)
		}
		for _, e := range o.Ledger().Requests(path) {
			if via := e.Header.Get("Via"); strings.Contains(via, ",") || e.Header.Get("Cdn-Loop") != "" || strings.Contains(e.Query, "cacheHostOrigin") {
				t.Errorf("the origin got Via %q, CDN-Loop %q, query %q", via, e.Header.Get("Cdn-Loop"), e.Query)
			}
		}
	}
	for _, n := range parent.Nodes {
		n.Stop()
	}
	if err := getFrom(ctx, child.Nodes[0], updates, "/c", "1", storage.Span{}); err != nil {
		t.Errorf("without its parent: %v", err)
	}
}

// Two clusters that name each other as parents find out at the second request
// and ask the origin.
func TestClustersThatNameEachOther(t *testing.T) {
	const size = 3<<20 + 5
	o := faultorigin.New(faultorigin.Config{})
	t.Cleanup(o.Close)
	at := []string{loopback.Closed(t), loopback.Closed(t)}
	var both []*testcluster.Cluster
	for i := range at {
		both = append(both, testcluster.New(t, testcluster.Config{
			Nodes: 1, Origins: rulesFor(o, "cache://"+at[1-i]), Edit: func(_ int, cfg *node.Config) { cfg.Listen = at[i] },
		}))
	}
	ctx := timeout(t)
	for i, c := range both {
		for _, name := range []string{host, updates} {
			path := fmt.Sprintf("/%d-%s", i, name)
			o.Add(faultorigin.Object{Path: path, Size: size})
			if err := getFrom(ctx, c.Nodes[0], name, path, "1", storage.Span{}); err != nil {
				t.Errorf("%s: %v", path, err)
			}
			if most := o.Ledger().MaxTimes(path); most != 1 {
				t.Errorf("%s: the origin sent some bytes %d times", path, most)
			}
		}
	}
	// Both begin with the same object: each waits for the other, and no longer
	// than a parent is waited for.
	o.Add(faultorigin.Object{Path: "/both", Size: size})
	ends := make(chan error, len(both))
	for _, c := range both {
		go func() { ends <- getFrom(ctx, c.Nodes[0], updates, "/both", "1", storage.Span{}) }()
	}
	for range both {
		if err := <-ends; err != nil {
			t.Errorf("at the same moment: %v", err)
		}
	}
	// What has gone round is told so, without a fill.
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, both[0].Nodes[0].URL("/x"), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = updates
	req.Header.Set("CDN-Loop", "other, mccd-"+both[0].Nodes[0].View().Epoch.Cluster)
	resp, err := client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusLoopDetected {
		t.Errorf("status %d, want 508", resp.StatusCode)
	}
}

// Nodes that reach origins through a proxy alone, with credentials from a file.
func TestOriginsThroughAProxy(t *testing.T) {
	const size = 9<<20 + 5
	o := faultorigin.New(faultorigin.Config{Objects: []faultorigin.Object{{Path: "/a", Size: size}, {Path: "/none", Size: 10}}})
	t.Cleanup(o.Close)
	o.Script("/none", faultorigin.Behaviour{Header: http.Header{"Cache-Control": {"no-store"}}})
	p := faultorigin.NewProxy(faultorigin.ProxyConfig{To: o.Addr(), User: "cache", Password: "proxypassword"})
	t.Cleanup(p.Close)
	file := filepath.Join(t.TempDir(), "proxies")
	if err := os.WriteFile(file, []byte(p.Addr()+" cache:proxypassword\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	rules := rulesFor(o, "")
	for i := range rules {
		rules[i].Connect, rules[i].AllowPrivate = "", false
	}
	c := testcluster.New(t, testcluster.Config{Nodes: 2, Origins: rules, Edit: func(_ int, cfg *node.Config) {
		cfg.Upstream = node.Upstream{Default: "http://" + p.Addr(), CredentialsFile: file, Bypass: []string{"*.inside.test"}}
	}})
	ctx := timeout(t)
	for _, n := range c.Nodes {
		for _, name := range []string{host, updates} {
			if err := getFrom(ctx, n, name, "/a", "1", storage.Span{}); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if err := getFrom(ctx, n, name, "/none", "1", storage.Span{}); err != nil {
				t.Errorf("%s, not to be stored: %v", name, err)
			}
		}
	}
	for _, e := range p.Entries() {
		if !strings.HasPrefix(e.Target, "http://"+host+"/") && !strings.HasPrefix(e.Target, "http://"+updates+"/") {
			t.Errorf("the proxy was asked for %q", e.Target)
		}
	}
	for _, e := range o.Ledger().Entries() {
		if e.Header.Get("Proxy-Authorization") != "" || e.Header.Get("X-Forwarded-For") != "" {
			t.Errorf("the origin got %v", e.Header)
		}
	}
	for _, n := range c.Nodes {
		if strings.Contains(n.Log(), "proxypassword") || strings.Contains(n.Log(), "Y2FjaGU6") {
			t.Error("a log tells the credentials")
		}
	}
}
