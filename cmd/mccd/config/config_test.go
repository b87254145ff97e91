package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mccd/mccd/storage"
)

func load(t *testing.T, text string, environ []string, flags ...Setting) (*Loaded, error) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "mccd.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Load(Sources{File: name, Environ: environ, Flags: flags})
}

func mustLoad(t *testing.T, text string, environ []string, flags ...Setting) *Loaded {
	t.Helper()
	l, err := load(t, text, environ, flags...)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestEachSourceGoesOverTheOneBefore(t *testing.T) {
	file := "listen: 127.0.0.1:1001\nzone: file\nlog: {level: error}\njoin: [127.0.0.1:1, 127.0.0.1:2]\n"
	environ := []string{"PATH=/bin", "MCCD_ZONE=env", "MCCD_LOG_LEVEL=warn", "MCCD_LIMITS_MEMORY=1GiB",
		"MCCD_DRIVES=/a=1GiB, /b=1.5TiB", "MCCD_ORIGINS=[{name: m, hosts: [mirror.example]}]"}
	l := mustLoad(t, file, environ, Setting{"--log-level", "log.level", []string{"debug"}},
		Setting{"--join", "join", []string{"127.0.0.1:3", "127.0.0.1:4,127.0.0.1:5"}})
	if l.Listen != "127.0.0.1:1001" || l.Zone != "env" || l.Log.Level != "debug" || l.Limits.Memory != 1<<30 {
		t.Errorf("merged %+v", l.Config)
	}
	if len(l.Drives) != 2 || l.Drives[1] != (Drive{"/b", 3 << 39}) {
		t.Errorf("drives %v", l.Drives)
	}
	if strings.Join(l.Join, " ") != "127.0.0.1:3 127.0.0.1:4 127.0.0.1:5" {
		t.Errorf("join %v: a list replaces the one before it", l.Join)
	}
	if len(l.Origins) != 1 || l.Origins[0].Profile != "http" {
		t.Errorf("origins %+v", l.Origins)
	}
	if !l.Given("listen") || l.Given("ops_listen") {
		t.Error("Given does not tell what was given")
	}
}

func TestNothingGivenIsNoFault(t *testing.T) {
	for _, text := range []string{"", "# only a comment\n", "---\n", "join:\nlog:\n"} {
		l := mustLoad(t, text, nil)
		if l.Listen != ":80" || l.Log.Level != "info" || !l.BuiltinCatalogue {
			t.Errorf("%q: not the defaults: %+v", text, l.Config)
		}
	}
}

func TestOriginDefaultsFollowTheProfile(t *testing.T) {
	l := mustLoad(t, `
origins:
  - {name: a, profile: do, hosts: [a.example], connect: "127.0.0.1:8080", allow_private: true}
  - {name: b, hosts: [b.example]}
  - {name: c, profile: do, hosts: ["*.c.example"], query_in_key: true, last_modified_length: false, pass_not_found: [], fresh_for: 1h30m}
  - {name: d, profile: http, hosts: [d.example], query_in_key: false}
`, nil)
	r := l.Rules()
	if r[0].Profile != storage.ProfileDO || r[0].QueryInKey || !r[0].LastModifiedLength || !r[0].PassesNotFound("/x/pieceshash") {
		t.Errorf("do: %+v", r[0])
	}
	if r[1].Profile != storage.ProfileHTTP || !r[1].QueryInKey || r[1].LastModifiedLength {
		t.Errorf("http: %+v", r[1])
	}
	if !r[2].QueryInKey || r[2].LastModifiedLength || r[2].PassesNotFound("/x/pieceshash") || r[2].FreshFor != 90*time.Minute {
		t.Errorf("overridden do: %+v", r[2])
	}
	if r[3].QueryInKey {
		t.Errorf("overridden http: %+v", r[3])
	}
}

func TestVariablesOfOthersAreNoFault(t *testing.T) {
	l := mustLoad(t, "", []string{"MCCD_SERVICE_HOST=10.0.0.1", "MCCD_PORT_80_TCP=tcp://10.0.0.1:80", "MCCD_LOG_LEVLE=debug"})
	if len(l.Warnings) != 1 || !strings.Contains(l.Warnings[0], "MCCD_LOG_LEVEL") {
		t.Errorf("warnings %q, want one about the misspelt variable", l.Warnings)
	}
}

func TestPeerAddress(t *testing.T) {
	for peer, want := range map[string]string{
		"node1.example": "node1.example:7947", "192.0.2.1:7000": "192.0.2.1:7000", "::1": "[::1]:7947", "[::1]": "[::1]:7947",
		"[fe80::1%eth0]:80": "[fe80::1%eth0]:80",
	} {
		if got, err := PeerAddress(peer); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", peer, got, err, want)
		}
	}
	for _, bad := range []string{"", ":7947", "a:", "a:0", "a:x", "a:65536", "a b", "a/b", "u@a", "a:1:2", "MCCD1-abc", "[]"} {
		if got, err := PeerAddress(bad); err == nil {
			t.Errorf("%q gives %q", bad, got)
		}
	}
}

func FuzzPeerAddress(f *testing.F) {
	for _, seed := range []string{"a", "a:1", "::1", "[::1]:2", "[", "MCCD1-x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, peer string) {
		full, err := PeerAddress(peer)
		if err != nil {
			return
		}
		if _, _, err := splitAddress(full); err != nil {
			t.Fatalf("%q gives %q, which is no address: %v", peer, full, err)
		}
		if again, err := PeerAddress(full); err != nil || again != full {
			t.Fatalf("%q gives %q, and that %q, %v", peer, full, again, err)
		}
	})
}

// A token or a passphrase in the environment is no misspelt key.
func TestSecretsInTheEnvironment(t *testing.T) {
	l := mustLoad(t, "", []string{"MCCD_TOKEN= MCCD1-x ", "MCCD_PASSPHRASE=p"})
	if l.Token != "MCCD1-x" || len(l.Warnings) != 0 {
		t.Errorf("token %q, warnings %q", l.Token, l.Warnings)
	}
}

func TestMissingFile(t *testing.T) {
	if _, err := Load(Sources{File: filepath.Join(t.TempDir(), "none.yaml")}); err == nil {
		t.Error("a missing file was accepted")
	}
}

func TestEveryKeyIsDocumented(t *testing.T) {
	texts := docs()
	for _, k := range append(Keys(), OriginKeys()...) {
		if texts[k.Path] == "" {
			t.Errorf("%s has no text in docs.go", k.Path)
		}
		delete(texts, k.Path)
	}
	for path := range texts {
		t.Errorf("docs.go describes %s, which is no key", path)
	}
}
