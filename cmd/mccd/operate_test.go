package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mccd/mccd/cluster/state"
)

// operation is a command line, what the daemon is then asked, and what is said.
type operation struct {
	args, asked string
	says        []string
}

func operations() []operation {
	return []operation{
		{"leave --yes", "leave", []string{"goes on alone"}},
		{"remove beta --yes", "remove beta false", []string{"beta is removed"}},
		{"remove beta --compromised -y", "remove beta true", []string{"All keys"}},
		{"token create", `token 24h0m0s 1 ""`, []string{
			"0badcafe admits 1 node, until 2100-01-01", "  MCCD_TOKEN=MCCD1-the-token mccd join 10.20.30.40:7947\n", "revoke 0badcafe",
		}},
		{"token create --uses -1 --ttl 0 --note n", `token 0s -1 "n"`, []string{"any number of nodes"}},
		{"token create -q", `token 24h0m0s 1 ""`, []string{"MCCD1-the-token\n"}},
		{"token list", "tokens", []string{"rack 7", "used up", "expired", "revoked", "for ever"}},
		{"token list -o json", "tokens", []string{`"uses_left": -1`, `"revoked": true`}},
		{"token revoke 0badcafe", "revoke 0badcafe", []string{"admits nobody"}},
		{"rotate gossip", "rotate gossip", []string{"gossip key"}},
		{"rotate sealing", "rotate sealing", []string{"sealed under the new one"}},
		{"rotate ca", "rotate ca", []string{"new certificate"}},
		{"node set beta --zone yard --weight 3", "set beta zone=yard weight=3", []string{"Set beta"}},
		{"node set beta --name b2 --zone=", "set beta name=b2 zone=", nil},
		{"node create gamma --zone yard", `create name=gamma zone=yard; token 24h0m0s 1 "for gamma"`, []string{"mccd join 10.20.30.40:7947 --name gamma\n"}},
		{"recover --supersede beta --yes", "recover [beta] dry=true; recover [beta] dry=false", []string{
			"alpha (00112233) becomes the only voter, in recovery generation 2", "loses its vote: beta (ffeeddcc)",
			"3 changes in between", "! Changes that only beta had are lost.", "is rebuilt",
		}},
		{"purge http://Deb.Debian.org:80/a%20b?x=secret", `purge "" "deb.debian.org" "/a%20b" false`, []string{"purge index 42"}},
		{"purge --prefix https://[2001:db8::1]:8443", `purge "" "[2001:db8::1]:8443" "/" true`, []string{"all of [2001:db8::1]:8443 (purge"}},
		{"drive free /srv/cache 1GiB", "free /srv/cache 1073741824", []string{"Freed 24 MiB of /srv/cache (3 chunks); 1.0 GiB are free"}},
		{"drive free /srv/cache --all", "free /srv/cache 9223372036854775807", []string{"1 chunks stay because they are in use, 2 because they are pinned"}},
		{"purge --prefix /x//y/", `purge "" "" "/x//y/" true`, []string{"every host's /x//y/ and all that begins so"}},
		{"purge --host Deb.Debian.org.", `purge "" "deb.debian.org" "/" true`, []string{"Purged all of deb.debian.org (purge index 42)"}},
		{"purge --host h:8080 /x", `purge "" "h:8080" "/x" false`, []string{"Purged h:8080/x (purge index 42)"}},
		{"purge --host h:443 --prefix /x", `purge "" "h" "/x" true`, []string{"Purged h/x and all that begins so"}},
		{"purge http://127.0.0.1:8080/a?P1=2&cacheHostOrigin=Deb.Debian.org", `purge "" "deb.debian.org" "/a" false`, []string{"Purged deb.debian.org/a ("}},
		{"purge --prefix /a/?cachehostorigin=h%3A8080&x", `purge "" "h:8080" "/a/" true`, []string{"Purged h:8080/a/ and all"}},
		{"purge --product xbox", `purge "Xbox" "" "/" true`, []string{"Purged all of product Xbox (", "  xvc-origin.xboxlive.com\n"}},
		{"purge list", "purges", []string{
			"INDEX", "9", "all of product Xbox", "1 of 4; at it: beta; away: gamma, delta", "all 4", "3 of 4; away: delta", "up to index 3",
		}},
		{"purge list -o json", "purges", []string{`"waiting": [`, `"index": 9`, `"dropped": 3`}},
	}
}

func TestOperations(t *testing.T) {
	f := &fakeNode{}
	socket := daemonSocket(t, f)
	for _, o := range operations() {
		t.Run(o.args, func(t *testing.T) {
			code, stdout, stderr := mccd(t, append(strings.Fields(o.args), "--admin-socket", socket)...)
			if got := f.take(); code != 0 || stderr != "" || got != o.asked {
				t.Fatalf("code %d, asked %s, want %s; %s", code, got, o.asked, stderr)
			}
			for _, want := range o.says {
				if !strings.Contains(stdout, want) {
					t.Errorf("does not say %q:\n%s", want, stdout)
				}
			}
		})
	}
}

// Each operation ends with code 3 where nobody listens, and with 1 and the
// node's own words where it refuses.
func TestOperationsThatFail(t *testing.T) {
	refusing := &fakeNode{err: fmt.Errorf("submit: %w: 2 of 3 voters do not answer since 12s", state.ErrNoQuorum)}
	socket, dead := daemonSocket(t, refusing), filepath.Join(t.TempDir(), "none")
	all := operations()
	env := []string{"MCCD_PASSPHRASE=correct horse"}
	file := filepath.Join(t.TempDir(), "backup")
	if err := os.WriteFile(file, []byte("sealed"), 0o600); err != nil {
		t.Fatal(err)
	}
	all = append(all, operation{args: "backup -"}, operation{args: "restore " + file})
	for _, o := range all {
		t.Run(o.args, func(t *testing.T) {
			code, stdout, stderr := mccdWith(t, "", env, append(strings.Fields(o.args), "--admin-socket", dead)...)
			if code != exitUnreachable || stdout != "" || !strings.Contains(stderr, "mccd serve") {
				t.Errorf("nobody listens: code %d, %q, %q", code, stdout, stderr)
			}
			code, stdout, stderr = mccdWith(t, "", env, append(strings.Fields(o.args), "--admin-socket", socket)...)
			if code != exitFailure || stdout != "" || !strings.Contains(stderr, "2 of 3 voters") || !strings.Contains(stderr, "nothing was changed") {
				t.Errorf("refused: code %d, %q, %q", code, stdout, stderr)
			}
		})
	}
}

// Without a terminal, what cannot be undone needs --yes.
func TestNothingIsDoneUnasked(t *testing.T) {
	f := &fakeNode{}
	socket := daemonSocket(t, f)
	for _, args := range []string{"leave", "remove beta", "recover"} {
		code, _, stderr := mccdWith(t, "y\n", nil, append(strings.Fields(args), "--admin-socket", socket)...)
		if code != exitFailure || !strings.Contains(stderr, "--yes") {
			t.Errorf("%s: code %d, %q", args, code, stderr)
		}
		if got := f.take(); got != "" && got != "recover [] dry=true" {
			t.Errorf("%s: the node was asked %s", args, got)
		}
	}
}

func TestBackupAndRestore(t *testing.T) {
	f := &fakeNode{}
	socket := daemonSocket(t, f)
	dir := t.TempDir()
	secret, file := filepath.Join(dir, "passphrase"), filepath.Join(dir, "backup")
	if err := os.WriteFile(secret, []byte("correct horse\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	do := func(stdin string, environ []string, args ...string) (int, string, string) {
		t.Helper()
		return mccdWith(t, stdin, environ, append(args, "--admin-socket", socket)...)
	}
	code, stdout, stderr := do("", nil, "backup", file, "--passphrase-file", secret)
	if got := f.take(); code != 0 || got != "backup by correct horse" || !strings.Contains(stdout, file) {
		t.Fatalf("code %d, asked %q; %s", code, got, stderr)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 || info.Size() != int64(len("sealed")) {
		t.Errorf("the backup is %v, %v", info, err)
	}
	code, _, stderr = do("", nil, "backup", file, "--passphrase-file", secret)
	if code != exitUsage || !strings.Contains(stderr, "--force") || f.take() != "" {
		t.Errorf("a file was not spared: code %d, %q", code, stderr)
	}
	if code, _, stderr = do("", []string{"MCCD_PASSPHRASE=battery staple"}, "backup", file, "--force"); code != 0 {
		t.Errorf("--force: code %d, %q", code, stderr)
	}
	f.take()
	if code, stdout, stderr = do("correct horse\n", nil, "backup", "-", "--passphrase-file", "-"); code != 0 || stdout != "sealed" {
		t.Errorf("to the standard output: code %d, %q, %q", code, stdout, stderr)
	}
	f.take()
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 2 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	if code, _, stderr = do("", nil, "restore", file, "--passphrase-file", secret); code != 0 || f.take() != "restore sealed by correct horse" {
		t.Errorf("restore: code %d, %q", code, stderr)
	}
	if code, _, stderr = do("other", []string{"MCCD_PASSPHRASE=p"}, "restore", "-"); code != 0 || f.take() != "restore other by p" {
		t.Errorf("restore of the standard input: code %d, %q", code, stderr)
	}
	for _, c := range []struct {
		environ []string
		args    string
		code    int
		says    string
	}{
		{nil, "backup " + file + "2", exitUsage, "no passphrase"},
		{[]string{"MCCD_PASSPHRASE=short"}, "backup " + file + "2", exitUsage, "use 8 or more"},
		{nil, "backup " + file + "2 --passphrase-file " + dir + "/none", exitFailure, "open the file of the passphrase"},
		{nil, "backup -  --passphrase-file -", exitFailure, "the standard input holds no passphrase"},
		{nil, "restore " + dir + "/none", exitFailure, "open the backup"},
		{nil, "restore -", exitFailure, "the standard input is empty"},
	} {
		code, _, stderr := do("", c.environ, strings.Fields(c.args)...)
		if code != c.code || !strings.Contains(stderr, c.says) || f.take() != "" {
			t.Errorf("%s: code %d, %q", c.args, code, stderr)
		}
	}
}

// What reaches the terminal at a failure never repeats a secret.
func TestSecretsAreNotRepeated(t *testing.T) {
	socket := daemonSocket(t, &fakeNode{err: state.ErrPassphrase})
	file := filepath.Join(t.TempDir(), "two-lines")
	if err := os.WriteFile(file, []byte("MCCD1-hidden\nMCCD1-hidden\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{
		"join 127.0.0.2 --token MCCD1-hidden", "join 127.0.0.2 --token-file " + file, "join 127.0.0.2 --set token_file=MCCD1-hidden",
		"join MCCD1-hidden", "token revoke MCCD1-hidden", "backup - --passphrase-file " + file, "restore " + file,
	} {
		code, stdout, stderr := mccdWith(t, "", []string{"MCCD_PASSPHRASE=hidden hidden"}, append(strings.Fields(args), "--admin-socket", socket)...)
		if code == 0 || strings.Contains(stdout+stderr, "hidden") {
			t.Errorf("%s: code %d, says %q%q", args, code, stdout, stderr)
		}
	}
}

func TestPurgeThatIsNotDone(t *testing.T) {
	f := &fakeNode{}
	socket := daemonSocket(t, f)
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"purge --product xbox --dry-run", 0, "Would purge all of product Xbox; nothing is done"},
		{"purge --host h /x --dry-run", 0, "Would purge h/x; nothing is done"},
		{"purge", exitUsage, "name a URL"},
		{"purge --product xbx", exitFailure, "there are: Office, Xbox"},
		{"purge --host h --product xbox", exitUsage, "exclude each other"},
		{"purge --host h http://h/x", exitUsage, "/PATH alone"},
		{"purge --host http://h", exitUsage, "is not a host"},
		{"purge --host *.h", exitUsage, "is not a host"},
		{"purge --host h/x", exitUsage, "is not a host"},
	} {
		code, stdout, stderr := mccd(t, append(strings.Fields(c.args), "--admin-socket", socket)...)
		if code != c.code || !strings.Contains(stdout+stderr, c.says) || f.take() != "" {
			t.Errorf("%s: code %d, %q %q", c.args, code, stdout, stderr)
		}
	}
}

func FuzzPurgeSpec(f *testing.F) {
	for _, seed := range []string{"http://h/p", "https://[::1]:8/%20?q#f", "/p", "http://h", "x", "/p?a&cacheHostOrigin=h%2f"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		spec, err := purgeSpec(text)
		if err == nil && (!strings.HasPrefix(spec.Path, "/") || strings.ContainsAny(spec.Path, "?#") || strings.ContainsAny(spec.Host, "/@?#")) {
			t.Fatalf("%q gives %+v", text, spec)
		}
	})
}

func TestPurgeSpec(t *testing.T) {
	for _, bad := range []string{"", "x", "//host/x", "http:///x", "ftp://h/x", "http://u:p@h/x", "http://h:x/", "http://", "/x?cacheHostOrigin=", "/x?cacheHostOrigin=h/y", "/x?cacheHostOrigin=%zz"} {
		if spec, err := purgeSpec(bad); err == nil {
			t.Errorf("%q gives %+v", bad, spec)
		}
	}
	if _, err := purgeSpec("ftp://h/x?sig=secret"); err == nil || bytes.Contains([]byte(err.Error()), []byte("secret")) {
		t.Errorf("a query is repeated: %v", err)
	}
}
