package node

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/mccd/mccd/storage/origin"
)

func TestParseProxies(t *testing.T) {
	got, err := parseProxies("# proxies\n\nProxy.Example:3128 user:p:a ss\r\n[2001:db8::1]:8080  u:\n")
	if err != nil || len(got) != 2 {
		t.Fatalf("%v, %v", got, err)
	}
	if p, _ := got["proxy.example:3128"].Password(); got["proxy.example:3128"].Username() != "user" || p != "p:a ss" {
		t.Errorf("got %v", got)
	}
	if got["[2001:db8::1]:8080"].Username() != "u" {
		t.Errorf("got %v", got)
	}
	for _, bad := range []string{"proxy:3128", "proxy user:secret", "proxy:3128 secret", ":3128 u:secret", "proxy:3128 :secret"} {
		if _, err := parseProxies("# first\n" + bad); err == nil || !strings.Contains(err.Error(), "line 2") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestCredentialsOfProxiesAreGuarded(t *testing.T) {
	file := filepath.Join(t.TempDir(), "proxies")
	if err := os.WriteFile(file, []byte("proxy:3128 u:secret\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	n := &Node{cfg: Config{Upstream: Upstream{Default: "http://proxy:3128", CredentialsFile: file}}}
	var cfg origin.Config
	if err := n.upstream(&cfg); runtime.GOOS != "windows" && (err == nil || !strings.Contains(err.Error(), "chmod 600") || strings.Contains(err.Error(), "secret")) {
		t.Errorf("a file that others may read: %v", err)
	}
	if err := os.Chmod(file, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := n.upstream(&cfg); err != nil || cfg.Credentials["proxy:3128"] == nil {
		t.Errorf("%v, %v", cfg.Credentials, err)
	}
}

func FuzzParseProxies(f *testing.F) {
	for _, s := range []string{"proxy:3128 u:p", "# x\n\n", "[::1]:1 a:b:c", ":"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		proxies, _ := parseProxies(text)
		for at, secret := range proxies {
			if !strings.Contains(at, ":") || secret.Username() == "" {
				t.Errorf("%q gives %q", text, at)
			}
		}
	})
}
